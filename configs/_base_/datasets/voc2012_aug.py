"""Pascal VOC 2012 with SBD's additional labels, 21 classes: 10582 images to train, 1449 to test.

data/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,SegmentationClassAug,ImageSets/Segmentation};
mmsegmentation's tools/dataset_converters/voc_aug.py makes SegmentationClassAug and aug.txt.
The schedules are made for 16 images an iteration: four processes of four.
"""

from mmengine.config import read_base

with read_base():
    from .segmentation_crops import *

from mmengine.dataset import ConcatDataset

from ean_transfer.segmentation.datasets import CheckedPascalVOCDataset

data_root = "data/VOCdevkit/VOC2012"
num_classes = 21

dataset = dict(
    type=CheckedPascalVOCDataset,
    data_root=data_root,
    data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
)
sbd_labels = dict(img_path="JPEGImages", seg_map_path="SegmentationClassAug")
lists = "ImageSets/Segmentation"
train_dataloader["dataset"] = dict(
    type=ConcatDataset,
    datasets=[
        dict(dataset, ann_file=f"{lists}/train.txt", pipeline=train_pipeline),
        dict(dataset, data_prefix=sbd_labels, ann_file=f"{lists}/aug.txt", pipeline=train_pipeline),
    ],
)
val_dataloader["dataset"] = dict(dataset, ann_file=f"{lists}/val.txt", pipeline=test_pipeline)
test_dataloader = val_dataloader
