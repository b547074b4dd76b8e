"""VGG Cells by EfficientNet-Lite0 with SE, from ImageNet weights, maps fused by an FPN.

python tools/train.py configs/crowd_counting/lite0_se_cells.py --ticket ticket.json
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cells import *
    from .._base_.models.density_lite0 import *
    from .._base_.schedules.fine_tuning import *

from mmengine.hooks import EMAHook

from ean_transfer.crowd_counting import CountingVisualizationHook, CountL1, DensityMSE
from ean_transfer.engine.hooks import ChannelsLastHook, FreezeNormHook

# A small density everywhere costs almost no squared error, but adds up to many objects.
model["losses"] = [dict(type=DensityMSE), dict(type=CountL1, loss_weight=0.25)]
train_dataloader.update(batch_size=4)
train_cfg.update(val_interval=100)
custom_hooks = [
    dict(type=ChannelsLastHook),
    # With running statistics that still change, the counts of VGG Cells were 3 % too low.
    dict(type=FreezeNormHook, begin=max_iters // 2),
    dict(type=EMAHook, momentum=0.02, update_buffers=True),  # averages over some 50 iterations
    dict(type=CountingVisualizationHook),
]
