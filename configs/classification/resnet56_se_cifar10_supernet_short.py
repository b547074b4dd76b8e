"""SE supernet on CIFAR-10, ResNet-56, a recipe for two cores: 27 blocks to choose among.

python tools/train.py configs/classification/resnet56_se_cifar10_supernet_short.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_supernet_short import *

model["backbone"].update(depth=56)
