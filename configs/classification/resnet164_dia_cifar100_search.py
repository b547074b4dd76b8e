"""Search a DIA ticket for ResNet-164 on CIFAR-100.

python tools/search.py configs/classification/resnet164_dia_cifar100_search.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet164_dia_cifar100_supernet import *
    from .._base_.search import *
