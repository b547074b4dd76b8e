"""UPerNet (Xiao et al. 2018) on all four stages of an undilated ResNet-50."""

from mmengine.config import read_base

with read_base():
    from .segmentor_resnet50_d8 import *

from mmseg.models import UPerHead

model["backbone"].update(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
model["decode_head"].update(
    type=UPerHead,
    in_index=[0, 1, 2, 3],
    pool_scales=(1, 2, 3, 6),
)
