"""DeepLabV3+ (Chen et al. 2018) on ResNet-50, output stride 8 by dilation."""

from mmengine.config import read_base

with read_base():
    from .segmentor_resnet50_d8 import *

from mmseg.models import DepthwiseSeparableASPPHead

model["decode_head"].update(
    type=DepthwiseSeparableASPPHead,
    dilations=(1, 12, 24, 36),
    c1_channels=48,
)
