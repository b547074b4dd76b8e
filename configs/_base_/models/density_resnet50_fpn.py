"""A density-map counter on ResNet-50's four stages fused by an FPN, output stride 4."""

from mmseg.models.necks import FPN

from ean_transfer.backbones import TicketResNet
from ean_transfer.crowd_counting import CountingPreprocessor, DensityCounter, DensityHead

stride = 4  # pixels per cell of the density map
# mmsegmentation's FPN has one output per stage, and the head reads the finest.
find_unused_parameters = True
model = dict(
    type=DensityCounter,
    data_preprocessor=dict(
        type=CountingPreprocessor,
        pad_size_divisor=32,
        mean=[123.675, 116.28, 103.53],  # RGB, ImageNet's
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(type=TicketResNet, depth=50, out_indices=(0, 1, 2, 3)),
    neck=dict(type=FPN, out_channels=128, num_outs=4),
    head=dict(type=DensityHead, channels=64, in_index=0, stride=stride),
)
