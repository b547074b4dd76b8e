"""ResNet-20 with SE on CIFAR-10 like resnet20_se_cifar10_16epochs.py, attention from identity.

python tools/train.py configs/classification/resnet20_se_cifar10_16epochs_identity.py --ticket full

SE's own start multiplies every branch by about one half, in each block where it is connected; here
every mask starts as the plain network.
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_16epochs import *

model["backbone"].update(init="identity")
