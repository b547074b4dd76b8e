"""A classifier on the CIFAR ResNeXt-29, 8x64d, 3 stages of 3 bottlenecks of 8 groups."""

from mmengine.config import read_base

with read_base():
    from .resnet20_cifar import *

from ean_transfer.backbones import TicketResNeXtCIFAR

model["backbone"].update(type=TicketResNeXtCIFAR, depth=29, groups=8, width_per_group=64)
