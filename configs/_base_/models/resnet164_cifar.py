"""A classifier on the CIFAR ResNet-164, 3 stages of 18 bottlenecks, the papers' CIFAR network."""

from mmengine.config import read_base

with read_base():
    from .resnet20_cifar import *

model["backbone"].update(depth=164)
