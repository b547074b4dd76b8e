"""The supernet of lite0_se_cifar10; masks are scored on 100 held-out training images per class.

python tools/train.py configs/classification/lite0_se_cifar10_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .lite0_se_cifar10 import *
    from .._base_.supernet import *

from mmengine.dataset import DefaultSampler

from ean_transfer.classification import HeldOutSplit
from ean_transfer.engine.hooks import ChannelsLastHook, RandomMaskHook

held_out_per_class = 100
model["backbone"].update(ticket="full")
split = dict(type=HeldOutSplit, per_class=held_out_per_class)
train_dataloader["dataset"] = dict(split, part="train", dataset=train_dataset)
val_dataloader = dict(
    test_dataloader,
    dataset=dict(split, part="held_out", dataset=dict(train_dataset, pipeline=test_pipeline)),
    sampler=dict(type=DefaultSampler, shuffle=False, round_up=False),
)
custom_hooks = [dict(type=ChannelsLastHook), dict(type=RandomMaskHook)]
