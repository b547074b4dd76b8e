"""Search an SE ticket for EfficientNet-Lite0 on CIFAR-10, enlarged to 128 x 128.

python tools/search.py configs/classification/lite0_se_cifar10_search.py
"""

from mmengine.config import read_base

with read_base():
    from .lite0_se_cifar10_supernet import *
    from .._base_.search import *
