"""The toy world's SE supernet.

python tools/train.py configs/classification/toy_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .toy import *
    from .._base_.supernet import *

model["backbone"].update(ticket="full")
# The papers connect half of the blocks. In so short a training the network learns to use attention
# only if it is connected more often.
custom_hooks[0].update(probability=0.8)

max_epochs = 6
param_scheduler[1].update(T_max=max_epochs - 1, end=max_epochs)
train_cfg.update(max_epochs=max_epochs, val_interval=max_epochs)
