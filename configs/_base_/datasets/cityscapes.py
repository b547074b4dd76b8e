"""Cityscapes, 19 classes: 2975 fine labelled images of 2048 x 1024 to train, 500 to test.

data/cityscapes/{leftImg8bit,gtFine}/{train,val}/<city>/; the labels *_gtFine_labelTrainIds.png are
made by cityscapesscripts (csCreateTrainIdLabelImgs).
The schedules are made for 8 images per iteration: four processes with two each.
"""

from mmengine.config import read_base

with read_base():
    from .segmentation_crops import *

from ean_transfer.segmentation.datasets import CheckedCityscapesDataset

data_root = "data/cityscapes"
num_classes = 19
scale = (2048, 1024)  # longer and shorter side at most
crop_size = (512, 1024)  # height, width
# For model["test_cfg"]: windows of the crop's size that overlap by a third.
window = dict(mode="slide", crop_size=crop_size, stride=(341, 683))

data_preprocessor.update(size=crop_size)
train_pipeline[2].update(scale=scale)
train_pipeline[3].update(crop_size=crop_size)
test_pipeline[1].update(scale=scale)

dataset = dict(type=CheckedCityscapesDataset, data_root=data_root)
train_dataloader.update(
    batch_size=2,
    dataset=dict(
        dataset,
        data_prefix=dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train"),
        pipeline=train_pipeline,
    ),
)
val_dataloader["dataset"] = dict(
    dataset,
    data_prefix=dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val"),
    pipeline=test_pipeline,
)
test_dataloader = val_dataloader
