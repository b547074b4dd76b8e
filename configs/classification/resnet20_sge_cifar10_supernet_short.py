"""SGE supernet on CIFAR-10, ResNet-20, a recipe for two cores.

python tools/train.py configs/classification/resnet20_sge_cifar10_supernet_short.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_supernet_short import *

model["backbone"]["attention"] = dict(type="SGE", groups=8)
