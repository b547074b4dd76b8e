"""VGG Cells by a ticketed ResNet-20 with SE, pretrained on CIFAR-10; for a CPU with two cores.

python tools/train.py configs/crowd_counting/resnet20_se_cells_short.py \
    --ticket ticket.json --weights work_dirs/classification/resnet20_se_cifar10_short/epoch_4.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cells import *
    from .._base_.models.density_resnet20_cifar import *
    from .._base_.schedules.iterations import *

from mmengine.hooks import EMAHook
from torch.optim import Adam

from ean_transfer.crowd_counting import CountingVisualizationHook, CountL1, DensityMSE
from ean_transfer.engine.hooks import ChannelsLastHook
from ean_transfer.engine.hooks import FreezeNormHook

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=4), sharing="stage")
# A small density everywhere costs almost no squared error, but adds up to many objects.
model["losses"] = [dict(type=DensityMSE), dict(type=CountL1, loss_weight=0.25)]

max_iters = 600
optim_wrapper["optimizer"] = dict(type=Adam, lr=3e-3)
param_scheduler[0].update(end=50)  # warm-up
param_scheduler[1].update(begin=50, end=max_iters)  # decay
train_cfg.update(max_iters=max_iters, val_interval=100)
default_hooks["checkpoint"].update(interval=100)
custom_hooks = [
    dict(type=ChannelsLastHook),
    # With running statistics that still change, the counts of VGG Cells were 3 % too low.
    dict(type=FreezeNormHook, begin=max_iters // 2),
    dict(type=EMAHook, momentum=0.02, update_buffers=True),  # averages over some 50 iterations
    dict(type=CountingVisualizationHook),
]
