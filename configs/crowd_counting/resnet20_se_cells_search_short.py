"""Search an SE ticket for ResNet-20 on VGG Cells itself.

python tools/search.py configs/crowd_counting/resnet20_se_cells_search_short.py \
    --weights work_dirs/classification/resnet20_se_cifar10_supernet_short/epoch_12.pth
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cells_supernet_short import *
    from .._base_.search_counting import *
