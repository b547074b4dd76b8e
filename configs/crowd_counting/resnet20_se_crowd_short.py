"""A few photographs by a ticketed ResNet-20 with SE, pretrained on CIFAR-10; for two cores.

python tools/train.py configs/crowd_counting/resnet20_se_crowd_short.py \
    --ticket ticket.json --weights work_dirs/classification/resnet20_se_cifar10_short/epoch_4.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.crowd_photos import *
    from .._base_.models.density_resnet20_cifar import *
    from .._base_.schedules.iterations import *

from mmengine.hooks import EMAHook
from torch.optim import Adam

from ean_transfer.crowd_counting import CountingVisualizationHook
from ean_transfer.engine.hooks import ChannelsLastHook

model["data_preprocessor"].update(data_preprocessor)
# Few photographs give poor batch statistics: norm_eval keeps those of CIFAR-10.
model["backbone"].update(attention=dict(type="SE", reduction=4), sharing="stage", norm_eval=True)

max_iters = 400
optim_wrapper["optimizer"] = dict(type=Adam, lr=5e-4)
param_scheduler[0].update(end=50)  # warm-up
param_scheduler[1].update(begin=50, end=max_iters)  # decay
train_cfg.update(max_iters=max_iters, val_interval=100)
default_hooks["checkpoint"].update(interval=100)
custom_hooks = [
    dict(type=ChannelsLastHook),
    dict(type=EMAHook, momentum=0.02, update_buffers=True),  # averages over some 50 iterations
    dict(type=CountingVisualizationHook),
]
