"""A classifier on the CIFAR PreResNet-164, 3 stages of 18 pre-activation bottlenecks."""

from mmengine.config import read_base

with read_base():
    from .resnet20_cifar import *

from ean_transfer.backbones import TicketPreResNetCIFAR

model["backbone"] = dict(type=TicketPreResNetCIFAR, depth=164)
