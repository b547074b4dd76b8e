"""Points of one's own, one per object: density maps by a pretrained network with SE, fine-tuned.

python tools/train.py configs/own/counting.py --data data/mine
ean init counting data/mine --out-dir my_project
    writes configs on top of this one; by itself it expects images and points.csv in data/mine, and
    lists of images in data/mine/splits.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.change_transform import *
    from .._base_.datasets.counting_crops import *
    from .._base_.models.density_lite0 import *
    from .._base_.schedules.fine_tuning import *

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import EMAHook

from ean_transfer.crowd_counting import (
    AlbuPoints,
    CountingVisualizationHook,
    CountL1,
    DensityMap,
    DensityMSE,
    LoadCountingImage,
    PackCountingInputs,
    PointsDataset,
)
from ean_transfer.engine.hooks import ChannelsLastHook, FreezeNormHook

train_pipeline = [
    dict(type=LoadCountingImage),
    dict(type=AlbuPoints, transforms=[random_crop, dict(type="HorizontalFlip", p=0.5)]),
    dict(type=DensityMap, stride=stride, sigma=4.0),
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), dict(type=PackCountingInputs)]
# Masks are scored on several images at once, which so get one size; their loss needs target maps.
central_crop = dict(random_crop, type="CenterCrop")
scoring_pipeline = [
    dict(type=LoadCountingImage),
    dict(type=AlbuPoints, transforms=[central_crop]),
    dict(type=DensityMap, stride=stride, sigma=4.0),
    dict(type=PackCountingInputs),
]
train_dataloader.update(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type=PointsDataset, data_root="data/mine", split="splits/train.txt", pipeline=train_pipeline
    ),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
test_dataloader.update(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type=PointsDataset, data_root="data/mine", split="splits/val.txt", pipeline=test_pipeline
    ),
)
val_dataloader = test_dataloader  # for the log only: the last iteration counts

# Where objects are few, steps of 1e-3 bring the whole map to zero, where softplus has no gradient.
optim_wrapper["optimizer"].update(lr=3e-4)

# A small density everywhere costs almost no squared error, but adds up to many objects.
model["losses"] = [dict(type=DensityMSE), dict(type=CountL1, loss_weight=0.25)]
custom_hooks = [
    dict(type=ChannelsLastHook),
    dict(type=FreezeNormHook, begin=max_iters * 17 // 20),  # when steps are small
    dict(type=EMAHook, momentum=0.02, update_buffers=True),  # averages over some 50 iterations
    dict(type=CountingVisualizationHook),
]
