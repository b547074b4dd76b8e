"""Cityscapes, 19 classes: 2975 fine labelled images of 2048 x 1024 to train, 500 to test.

data/cityscapes/{leftImg8bit,gtFine}/{train,val}/<city>/; the labels *_gtFine_labelTrainIds.png are
made by cityscapesscripts (csCreateTrainIdLabelImgs).
The schedules are made for 8 images an iteration: four processes of two.
"""

from mmcv.transforms import RandomFlip, RandomResize
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomCrop, Resize

from ean_transfer.segmentation import PerClassIoUMetric
from ean_transfer.segmentation.checks import CheckedCityscapesDataset, CheckedAnnotations, LoadImage

data_root = "data/cityscapes"
num_classes = 19
scale = (2048, 1024)  # longer and shorter side at most
crop_size = (512, 1024)  # height, width
# For model["test_cfg"]: windows of the training crop, each a third over the one before.
window = dict(mode="slide", crop_size=crop_size, stride=(341, 683))

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
    dict(type=CheckedAnnotations),  # after Resize: scores are at the labels' own size
    dict(type=PackSegInputs),
]

dataset = dict(type=CheckedCityscapesDataset, data_root=data_root)
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    dataset=dict(
        dataset,
        data_prefix=dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train"),
        pipeline=train_pipeline,
    ),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    dataset=dict(
        dataset,
        data_prefix=dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val"),
        pipeline=test_pipeline,
    ),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = val_dataloader
# mIoU brings aAcc and mAcc; mFscore is the mean over classes with at least one right pixel.
val_evaluator = dict(type=PerClassIoUMetric, iou_metrics=["mIoU", "mFscore"])
test_evaluator = val_evaluator
