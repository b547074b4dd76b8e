"""mmsegmentation's usual schedule, 20k iterations: SGD 0.01, polynomial decay.

Made for 16 images per iteration, 8 on Cityscapes. Includes default_runtime.py, whose hooks count in
epochs, and makes them count in iterations.
"""

from mmengine.config import read_base

with read_base():
    from ..default_runtime import *

from mmengine.optim import OptimWrapper, PolyLR
from mmengine.runner import IterBasedTrainLoop, TestLoop, ValLoop
from torch.optim import SGD

max_iters = 20_000
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.01, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [
    dict(type=PolyLR, power=0.9, eta_min=1e-4, by_epoch=False, begin=0, end=max_iters)
]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=max_iters, val_interval=max_iters // 10)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
log_processor = dict(by_epoch=False)
default_hooks["checkpoint"].update(by_epoch=False, interval=max_iters // 10)
default_hooks["logger"].update(log_metric_by_epoch=False)
