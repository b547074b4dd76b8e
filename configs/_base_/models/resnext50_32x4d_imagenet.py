"""A classifier on ResNeXt-50, 32x4d, 4 stages of 3, 4, 6 and 3 bottlenecks, for ImageNet."""

from mmengine.config import read_base

with read_base():
    from .resnet50_imagenet import *

from ean_transfer.backbones import TicketResNeXt

model["backbone"].update(type=TicketResNeXt, depth=50, groups=32, width_per_group=4)
