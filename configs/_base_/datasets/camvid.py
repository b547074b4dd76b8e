"""CamVid, 11 classes: data/camvid/{train,val}/{images/*.jpg,labels/*.png}, frames of 480 x 360."""

from mmengine.config import read_base

with read_base():
    from .segmentation_crops import *

from ean_transfer.segmentation import CamVidDataset

data_root = "data/camvid"
num_classes = 11
scale = (480, 360)  # width, height
crop_size = (320, 320)  # height, width

data_preprocessor.update(size=crop_size)
train_pipeline[2].update(scale=scale, ratio_range=(0.75, 1.5))
train_pipeline[3].update(crop_size=crop_size)
test_pipeline[1].update(scale=scale)

dataset = dict(type=CamVidDataset, data_root=data_root)
train_dataloader.update(
    batch_size=8, num_workers=2, dataset=dict(dataset, split="train", pipeline=train_pipeline)
)
val_dataloader.update(num_workers=2, dataset=dict(dataset, split="val", pipeline=test_pipeline))
test_dataloader = val_dataloader
