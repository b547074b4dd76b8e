"""SGE supernet of ResNet-164 on CIFAR-100; the rest is in resnet164_se_cifar100_supernet.py.

python tools/train.py configs/classification/resnet164_sge_cifar100_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet164_se_cifar100_supernet import *

model["backbone"]["attention"] = dict(type="SGE", groups=64)
