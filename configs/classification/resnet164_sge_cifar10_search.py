"""Search an SGE ticket for ResNet-164 on CIFAR-10.

python tools/search.py configs/classification/resnet164_sge_cifar10_search.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet164_sge_cifar10_supernet import *
    from .._base_.search import *
