"""SRM, Style-based Recalibration Module: one weight per channel from mean and deviation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import (
    ChannelAttention,
)
from ean_transfer.attention.numerics import mean_and_variance, zero_parameters
from ean_transfer.registry import ATTENTION

EPSILON = 1e-5  # added to a variance


@ATTENTION.register_module()
class SRM(ChannelAttention):
    """Style-based Recalibration Module (Lee et al. 2019, arXiv 1903.10829).

    A channel's style t is its mean and standard deviation (unbiased variance + 1e-5; variance 0 on
    a 1 x 1 map). ``z_c = t_c1 W_c1 + t_c2 W_c2``, ``s = sigma(BN(z))``, ``y = x s``; 4C parameters;
    W starts at 0.

    The BatchNorm cannot train on a batch of one image. Where one module serves a whole stage, its
    running statistics mix those of the blocks.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cfc = nn.Parameter(torch.zeros(channels, 2))  # channel-wise fully connected layer
        self.bn = nn.BatchNorm1d(channels)

    def pool(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the style (N, C, 2)."""
        average, variance = mean_and_variance(x)
        return torch.cat([average, (variance + EPSILON).sqrt()], dim=3).squeeze(2)

    def pool_constant(self, values: Tensor) -> Tensor:
        """(N, C) to the style (N, C, 2) of variance 0."""
        return torch.stack([values, torch.full_like(values, EPSILON).sqrt()], dim=2)

    def logits(self, pooled: Tensor) -> Tensor:
        """(N, C) from the style (N, C, 2)."""
        return self.bn((pooled * self.cfc).sum(dim=2))

    def init_constant(self) -> float:
        # With W = 0, BN would scale whatever the first step makes of it to unit variance, and move
        # the weights far from 1/2 at once. So BN's own weight is 0 instead; W must then not be 0 as
        # well, or neither would get a gradient.
        nn.init.ones_(self.cfc)
        zero_parameters(self.bn)
        return 0.5
