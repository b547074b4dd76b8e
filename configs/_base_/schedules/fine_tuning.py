"""Fine-tuning of a pretrained network in a few hundred iterations: AdamW, attention learns faster.

Attention learns ten times as fast as the network: otherwise a short training leaves it where it
started, and all masks score alike. Another factor:
``--cfg-options optim_wrapper.paramwise_cfg.attention_lr_mult=5.0``.
"""

from mmengine.config import read_base

with read_base():
    from .iterations import *

from torch.optim import AdamW

from ean_transfer.engine.optim import AttentionOptimWrapperConstructor

max_iters = 600
optim_wrapper["optimizer"] = dict(type=AdamW, lr=1e-3, weight_decay=0.01)
optim_wrapper.update(constructor=AttentionOptimWrapperConstructor)
param_scheduler[0].update(end=50)  # warm-up
param_scheduler[1].update(begin=50, end=max_iters)  # decay
train_cfg.update(max_iters=max_iters, val_interval=max_iters)
default_hooks["checkpoint"].update(interval=100)
