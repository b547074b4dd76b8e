"""The papers' CIFAR schedule: SGD 0.1, x0.1 after 81 and 122 of 164 epochs, batch 128.

Includes default_runtime.py.
"""

from mmengine.config import read_base

with read_base():
    from ..default_runtime import *

from mmengine.optim import MultiStepLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import SGD

optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [dict(type=MultiStepLR, by_epoch=True, milestones=[81, 122], gamma=0.1)]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=164, val_interval=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
