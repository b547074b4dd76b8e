"""PSPNet (Zhao et al. 2017) on ResNet-50, output stride 8 by dilation."""

from mmengine.config import read_base

with read_base():
    from .segmentor_resnet50_d8 import *

from mmseg.models import PSPHead

model["decode_head"].update(type=PSPHead, pool_scales=(1, 2, 3, 6))
