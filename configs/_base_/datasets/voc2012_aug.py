"""Pascal VOC 2012 with SBD's additional labels, 21 classes: 10582 images to train, 1449 to test.

data/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,SegmentationClassAug,ImageSets/Segmentation};
mmsegmentation's tools/dataset_converters/voc_aug.py makes SegmentationClassAug and aug.txt.
The schedules are made for 16 images an iteration: four processes of four.
"""

from mmcv.transforms import RandomFlip, RandomResize
from mmengine.dataset import ConcatDataset, DefaultSampler, InfiniteSampler
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomCrop, Resize

from ean_transfer.segmentation import PerClassIoUMetric
from ean_transfer.segmentation.checks import CheckedPascalVOCDataset, CheckedAnnotations, LoadImage

data_root = "data/VOCdevkit/VOC2012"
num_classes = 21
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
    dict(type=CheckedAnnotations),  # after Resize: scores are at the labels' own size
    dict(type=PackSegInputs),
]

dataset = dict(
    type=CheckedPascalVOCDataset,
    data_root=data_root,
    data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
)
sbd_labels = dict(img_path="JPEGImages", seg_map_path="SegmentationClassAug")
lists = "ImageSets/Segmentation"
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    dataset=dict(
        type=ConcatDataset,
        datasets=[
            dict(dataset, ann_file=f"{lists}/train.txt", pipeline=train_pipeline),
            dict(
                dataset,
                data_prefix=sbd_labels,
                ann_file=f"{lists}/aug.txt",
                pipeline=train_pipeline,
            ),
        ],
    ),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    dataset=dict(dataset, ann_file=f"{lists}/val.txt", pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = val_dataloader
# mIoU brings aAcc and mAcc; mFscore is the mean over classes with at least one right pixel.
val_evaluator = dict(type=PerClassIoUMetric, iou_metrics=["mIoU", "mFscore"])
test_evaluator = val_evaluator
