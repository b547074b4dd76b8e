"""Semantic FPN on EfficientNet-Lite0 with SE, from ImageNet weights, CamVid at 480 x 360.

python tools/train.py configs/segmentation/fpn_lite0_se_camvid.py --ticket ticket.json
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.camvid import *
    from .._base_.models.fpn_lite0 import *
    from .._base_.schedules.fine_tuning import *

from ean_transfer.engine.hooks import ChannelsLastHook

crop_size = (224, 224)  # height, width
train_pipeline[2].update(ratio_range=(0.65, 1.0))  # RandomResize: never smaller than a crop
train_pipeline[3].update(crop_size=crop_size)  # RandomCrop
# Images are read in the training process: two cores are busy anyway.
train_dataloader.update(num_workers=0, persistent_workers=False)
train_dataloader["dataset"].update(pipeline=train_pipeline)
val_dataloader.update(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader

model["data_preprocessor"].update(size=crop_size)
model["decode_head"].update(num_classes=num_classes)
custom_hooks = [dict(type=ChannelsLastHook)]
