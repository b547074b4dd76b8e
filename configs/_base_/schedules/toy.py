"""The toy tasks' schedule: the short CIFAR schedule with 5 epochs of some seconds.

Includes default_runtime.py.
"""

from mmengine.config import read_base

with read_base():
    from ..default_runtime import *
    from .cifar_short import *

max_epochs = 5
param_scheduler[0].update(start_factor=0.05)
param_scheduler[1].update(T_max=max_epochs - 1, end=max_epochs)
train_cfg.update(max_epochs=max_epochs, val_interval=max_epochs)
