"""The toy network: the CIFAR ResNet with 3 stages of 2 blocks, 8, 16 and 32 channels wide."""

from ean_transfer.backbones import TicketResNetCIFAR

backbone = dict(
    type=TicketResNetCIFAR,
    depth=14,
    base_channels=8,
    zero_init_residual=False,
    attention=dict(type="SE", reduction=4),
    sharing="stage",
)
