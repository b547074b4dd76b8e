"""Search an SE ticket for EfficientNet-Lite0 on VGG Cells itself.

python tools/search.py configs/crowd_counting/lite0_se_cells_search.py
"""

from mmengine.config import read_base

with read_base():
    from .lite0_se_cells_supernet import *
    from .._base_.search_counting import *
