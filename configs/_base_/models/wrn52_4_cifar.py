"""A classifier on WRN-52-4: 3 stages of 8 pre-activation blocks, 4 times as wide as ResNet."""

from mmengine.config import read_base

with read_base():
    from .resnet20_cifar import *

from ean_transfer.backbones import TicketWideResNetCIFAR

model["backbone"] = dict(type=TicketWideResNetCIFAR, depth=52, width=4)
