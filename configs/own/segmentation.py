"""Images and masks of one's own: semantic FPN on a pretrained network with SE, fine-tuned.

python tools/train.py configs/own/segmentation.py --data data/mine
ean init segmentation data/mine --out-dir my_project
    writes configs on top of this one; by itself it expects data/mine/{images,labels}, classes.txt
    and lists of images in data/mine/splits.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.change_transform import *
    from .._base_.datasets.segmentation_crops import *
    from .._base_.models.fpn_lite0 import *
    from .._base_.schedules.fine_tuning import *

from mmseg.datasets.transforms import PackSegInputs, Resize

from ean_transfer.data.loading import LoadImage
from ean_transfer.engine.hooks import ChannelsLastHook
from ean_transfer.segmentation import SegFolder
from ean_transfer.segmentation.loading import CheckedAnnotations

# Masks are scored on several images at once, which so get one size.
scoring_pipeline = [
    dict(type=LoadImage),
    dict(type=Resize, scale=scale),
    dict(type=CheckedAnnotations),  # after Resize: the labels keep their size
    dict(type=PackSegInputs),
]
train_dataloader.update(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type=SegFolder, data_root="data/mine", split="splits/train.txt", pipeline=train_pipeline
    ),
)
test_dataloader = dict(
    val_dataloader,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type=SegFolder, data_root="data/mine", split="splits/val.txt", pipeline=test_pipeline
    ),
)
val_dataloader = test_dataloader  # for the log only: the last iteration counts
model["decode_head"].update(num_classes=2)
custom_hooks = [dict(type=ChannelsLastHook)]
