"""CIFAR-10, enlarged to 128 x 128, by EfficientNet-Lite0 with SE, from ImageNet weights.

python tools/train.py configs/classification/lite0_se_cifar10.py --ticket ticket.json
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10_folder import *
    from .._base_.models.lite0 import *
    from .._base_.schedules.fine_tuning import *

from mmengine.dataset import InfiniteSampler
from mmpretrain.datasets import Resize
from mmpretrain.models import (
    ClsDataPreprocessor,
    GlobalAveragePooling,
    ImageClassifier,
    LinearClsHead,
)
from mmpretrain.models.losses import CrossEntropyLoss

from ean_transfer.engine.hooks import ChannelsLastHook

# The network has five halvings: of 32 x 32 pixels one cell would be left.
enlarge = dict(type=Resize, scale=128, interpolation="bicubic", backend="cv2")
train_pipeline.insert(0, enlarge)
train_pipeline[1].update(crop_size=128, padding=16)
test_pipeline.insert(0, enlarge)
train_dataset.update(pipeline=train_pipeline)
train_dataloader["dataset"] = train_dataset  # nothing is held out
train_dataloader.update(batch_size=32, sampler=dict(type=InfiniteSampler, shuffle=True))
test_dataloader["dataset"].update(pipeline=test_pipeline)
test_dataloader.update(batch_size=50)
val_dataloader = test_dataloader  # for the log only: the last iteration counts

model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(
        type=ClsDataPreprocessor,
        mean=[127.5] * 3,  # of the pretrained network, not of CIFAR-10
        std=[127.5] * 3,
        to_rgb=True,
    ),
    backbone=dict(backbone, out_indices=(-1,)),
    neck=dict(type=GlobalAveragePooling),
    head=dict(type=LinearClsHead, num_classes=10, loss=dict(type=CrossEntropyLoss), topk=(1,)),
)
custom_hooks = [dict(type=ChannelsLastHook)]
