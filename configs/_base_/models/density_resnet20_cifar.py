"""A density-map counter on the CIFAR ResNet-20, output stride 4."""

from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.crowd_counting import CountingPreprocessor, DensityCounter, DensityHead

stride = 4  # pixels per cell of the density map
model = dict(
    type=DensityCounter,
    data_preprocessor=dict(type=CountingPreprocessor, pad_size_divisor=4),
    backbone=dict(type=TicketResNetCIFAR, depth=20, zero_init_residual=False),
    head=dict(type=DensityHead, channels=32, stride=stride),
)
