"""DIA supernet of ResNet-164 on CIFAR-10; the rest is in resnet164_se_cifar10_supernet.py.

python tools/train.py configs/classification/resnet164_dia_cifar10_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet164_se_cifar10_supernet import *

model["backbone"]["attention"] = dict(type="DIA", reduction=4)
