"""A density-map counter on ResNet-50 cut after stage 3, output stride 8."""

from ean_transfer.backbones import TicketResNet
from ean_transfer.crowd_counting import CountingPreprocessor, DensityCounter, DensityHead

stride = 8  # pixels per cell of the density map
model = dict(
    type=DensityCounter,
    data_preprocessor=dict(
        type=CountingPreprocessor,
        pad_size_divisor=32,
        mean=[123.675, 116.28, 103.53],  # RGB, ImageNet's
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type=TicketResNet,
        depth=50,
        num_stages=3,
        strides=(1, 2, 1),
        dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    head=dict(type=DensityHead, channels=64, stride=stride),
)
