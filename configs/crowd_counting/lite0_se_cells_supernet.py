"""The supernet of lite0_se_cells; masks are scored on the 50 images of the pool's rest.

python tools/train.py configs/crowd_counting/lite0_se_cells_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .lite0_se_cells import *
    from .._base_.supernet_counting import *

from ean_transfer.crowd_counting import DensityMap, LoadCountingImage, PackCountingInputs
from ean_transfer.engine.hooks import ChannelsLastHook, RandomMaskHook

model["backbone"].update(ticket="full")
# The loss needs target maps. The test images play no part.
val_dataloader["dataset"].update(
    pipeline=[
        dict(type=LoadCountingImage),
        dict(type=DensityMap, stride=4, sigma=2.0),
        dict(type=PackCountingInputs),
    ]
)
# No statistics are fixed: each mask has its own.
custom_hooks = [dict(type=ChannelsLastHook), dict(type=RandomMaskHook)]
