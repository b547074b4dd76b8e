"""Search an SE ticket for ResNet-20 on CIFAR-10; under an hour on two cores.

python tools/search.py configs/classification/resnet20_se_cifar10_search_short.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_supernet_short import *
    from .._base_.search import *

search.update(steps=32)
