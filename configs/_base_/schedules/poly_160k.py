"""mmsegmentation's usual schedule, 160k iterations; the rest is in poly_20k.py."""

from mmengine.config import read_base

with read_base():
    from .poly_20k import *

max_iters = 160_000
param_scheduler[0].update(end=max_iters)
train_cfg.update(max_iters=max_iters, val_interval=max_iters // 10)
default_hooks["checkpoint"].update(interval=max_iters // 10)
