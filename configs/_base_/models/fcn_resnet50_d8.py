"""FCN (Long et al. 2015) on ResNet-50, output stride 8 by dilation."""

from mmengine.config import read_base

with read_base():
    from .segmentor_resnet50_d8 import *

from mmseg.models import FCNHead

model["decode_head"].update(type=FCNHead, num_convs=2)
