"""CamVid, 11 classes: data/camvid/{train,val}/{images/*.jpg,labels/*.png}, frames of 480 x 360."""

from mmcv.transforms import RandomFlip, RandomResize
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomCrop, Resize

from ean_transfer.segmentation import CamVidDataset, PerClassIoUMetric
from ean_transfer.segmentation.checks import CheckedAnnotations, LoadImage

data_root = "data/camvid"
num_classes = 11
scale = (480, 360)  # width, height
crop_size = (320, 320)  # height, width

data_preprocessor = dict(
    mean=[123.675, 116.28, 103.53],  # RGB, ImageNet's
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=crop_size,
)
train_pipeline = [
    dict(type=LoadImage),
    dict(type=CheckedAnnotations),
    dict(
        type=RandomResize, scale=scale, ratio_range=(0.75, 1.5), keep_ratio=True, resize_type=Resize
    ),
    dict(type=RandomCrop, crop_size=crop_size, cat_max_ratio=0.75),
    dict(type=RandomFlip, prob=0.5),
    dict(type=PhotoMetricDistortion),
    dict(type=PackSegInputs),
]
test_pipeline = [
    dict(type=LoadImage),
    dict(type=Resize, scale=scale, keep_ratio=True),
    dict(type=CheckedAnnotations),  # after Resize: scores are at the labels' own size
    dict(type=PackSegInputs),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(type=CamVidDataset, data_root=data_root, split="train", pipeline=train_pipeline),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(type=CamVidDataset, data_root=data_root, split="val", pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=PerClassIoUMetric, iou_metrics=["mIoU", "mFscore"])
test_evaluator = val_evaluator
