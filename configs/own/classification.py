"""Classes of one's own, one folder of images each: a pretrained network with SE, fine-tuned.

python tools/train.py configs/own/classification.py --data data/mine
ean init classification data/mine --out-dir my_project
    writes configs on top of this one; by itself it expects data/mine/<class>/*.jpg and lists of
    images in data/mine/splits.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.change_transform import *
    from .._base_.models.lite0 import *
    from .._base_.schedules.fine_tuning import *

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmpretrain.datasets import (
    CenterCrop,
    PackInputs,
    RandomFlip,
    RandomResizedCrop,
    ResizeEdge,
)
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import (
    ClsDataPreprocessor,
    GlobalAveragePooling,
    ImageClassifier,
    LinearClsHead,
)
from mmpretrain.models.losses import CrossEntropyLoss

from ean_transfer.classification import ImageFolder
from ean_transfer.engine.hooks import ChannelsLastHook

train_pipeline = [
    dict(type=RandomResizedCrop, scale=224, crop_ratio_range=(0.35, 1.0)),
    dict(type=RandomFlip, prob=0.5, direction="horizontal"),
    dict(type=PackInputs),
]
test_pipeline = [
    dict(type=ResizeEdge, scale=256, edge="short"),
    dict(type=CenterCrop, crop_size=224),
    dict(type=PackInputs),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    dataset=dict(
        type=ImageFolder, data_root="data/mine", split="splits/train.txt", pipeline=train_pipeline
    ),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=0,
    dataset=dict(
        type=ImageFolder, data_root="data/mine", split="splits/val.txt", pipeline=test_pipeline
    ),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_dataloader = test_dataloader  # for the log only: the last iteration counts
val_evaluator = dict(type=Accuracy, topk=(1,))
test_evaluator = val_evaluator

model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(
        type=ClsDataPreprocessor,
        mean=data_preprocessor["mean"],
        std=data_preprocessor["std"],
        to_rgb=True,
    ),
    backbone=dict(backbone, out_indices=(-1,)),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead,
        num_classes=2,
        loss=dict(type=CrossEntropyLoss),
        topk=(1,),
    ),
)
custom_hooks = [dict(type=ChannelsLastHook)]
