"""ImageNet-1k: data/imagenet/{train,val}/<synset>/*.JPEG."""

from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import DefaultSampler
from mmpretrain.datasets import (
    CenterCrop,
    ImageNet,
    PackInputs,
    RandomFlip,
    RandomResizedCrop,
    ResizeEdge,
)
from mmpretrain.evaluation import Accuracy

num_classes = 1000
data_preprocessor = dict(
    num_classes=num_classes,
    mean=[123.675, 116.28, 103.53],  # RGB
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
train_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=RandomResizedCrop, scale=224),
    dict(type=RandomFlip, prob=0.5, direction="horizontal"),
    dict(type=PackInputs),
]
test_pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=ResizeEdge, scale=256, edge="short"),
    dict(type=CenterCrop, crop_size=224),
    dict(type=PackInputs),
]
train_dataset = dict(
    type=ImageNet, data_root="data/imagenet", split="train", pipeline=train_pipeline
)
test_dataset = dict(type=ImageNet, data_root="data/imagenet", split="val", pipeline=test_pipeline)

train_dataloader = dict(
    batch_size=64,  # per GPU; the papers train with 256 in all
    num_workers=8,
    persistent_workers=True,
    dataset=train_dataset,
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=125,
    num_workers=8,
    persistent_workers=True,
    dataset=test_dataset,
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=Accuracy, topk=(1, 5))
test_evaluator = val_evaluator
