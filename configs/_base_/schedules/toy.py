"""The toy tasks' schedule: the short CIFAR one with 5 epochs, seconds each.

Brings default_runtime.py with it.
"""

from mmengine.config import read_base

with read_base():
    from ..default_runtime import *
    from .cifar_short import *

max_epochs = 5
param_scheduler[0].update(start_factor=0.05)
param_scheduler[1].update(T_max=max_epochs - 1, end=max_epochs)
train_cfg.update(max_epochs=max_epochs, val_interval=max_epochs)
