"""The common part of mmsegmentation's data sets: random crops of 512 x 512, four in a batch.

Images are resized to at most 2048 x 512. A data set's config sets train_dataloader["dataset"] and
val_dataloader["dataset"] with these pipelines.
"""

from mmcv.transforms import RandomFlip, RandomResize
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomCrop, Resize

from ean_transfer.segmentation import PerClassIoUMetric
from ean_transfer.data.loading import LoadImage
from ean_transfer.segmentation.loading import CheckedAnnotations

scale = (2048, 512)  # longer and shorter side at most
crop_size = (512, 512)  # height, width

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
        type=RandomResize, scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True, resize_type=Resize
    ),
    dict(type=RandomCrop, crop_size=crop_size, cat_max_ratio=0.75),
    dict(type=RandomFlip, prob=0.5),
    dict(type=PhotoMetricDistortion),
    dict(type=PackSegInputs),
]
test_pipeline = [
    dict(type=LoadImage),
    dict(type=Resize, scale=scale, keep_ratio=True),
    dict(type=CheckedAnnotations),  # after Resize: the labels keep their size
    dict(type=PackSegInputs),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
)
# mIoU reports aAcc and mAcc as well; mFscore averages the classes with at least one right pixel.
val_evaluator = dict(type=PerClassIoUMetric, iou_metrics=["mIoU", "mFscore"])
test_evaluator = val_evaluator
