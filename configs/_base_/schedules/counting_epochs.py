"""The usual schedule of density-map counting: Adam at 1e-5, 400 epochs, best model by validation.

Includes default_runtime.py.
"""

from mmengine.config import read_base

with read_base():
    from ..default_runtime import *

from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import Adam

from ean_transfer.crowd_counting import CountingVisualizationHook

optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=Adam, lr=1e-5, weight_decay=1e-4))
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=400, val_interval=5)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
default_hooks["checkpoint"].update(interval=5, save_best="MAE", rule="less")
custom_hooks = [dict(type=CountingVisualizationHook)]  # pictures at each validation
