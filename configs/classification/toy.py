"""The toy world's classification, from scratch.

python tools/train.py configs/classification/toy.py --ticket full
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.toy_classification import *
    from .._base_.models.toy_backbone import *
    from .._base_.schedules.toy import *

from mmpretrain.models import (
    ClsDataPreprocessor,
    GlobalAveragePooling,
    ImageClassifier,
    LinearClsHead,
)
from mmpretrain.models.losses import CrossEntropyLoss

model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(data_preprocessor, type=ClsDataPreprocessor),
    backbone=backbone,
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead,
        num_classes=num_classes,
        loss=dict(type=CrossEntropyLoss),
        topk=(1,),
    ),
)

# With 5 epochs the seed decides whether a network that can learn the task does.
max_epochs = 7
param_scheduler[1].update(T_max=max_epochs - 1, end=max_epochs)
train_cfg.update(max_epochs=max_epochs, val_interval=max_epochs)
