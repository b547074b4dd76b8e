"""A density-map counter on EfficientNet-Lite0's maps fused by an FPN, see lite0.py; stride 4."""

from mmengine.config import read_base

with read_base():
    from .lite0 import *

from mmseg.models.necks import FPN

from ean_transfer.crowd_counting import CountingPreprocessor, DensityCounter, DensityHead

stride = 4  # pixels per cell of the density map
# mmsegmentation's FPN has one output per stage, and the head reads the finest.
find_unused_parameters = True
model = dict(
    type=DensityCounter,
    data_preprocessor=dict(data_preprocessor, type=CountingPreprocessor, pad_size_divisor=32),
    backbone=backbone,
    neck=dict(type=FPN, out_channels=64, num_outs=4),
    head=dict(type=DensityHead, channels=64, in_index=0, stride=stride),
)
