"""IE, Instance Enhancement: one weight per channel from its own mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import ChannelAttention
from ean_transfer.attention.numerics import sigmoid
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class IE(ChannelAttention):
    """Instance Enhancement (Liang et al. 2020, arXiv 1908.04008), without the BatchNorm before it.

    ``s_c = sigma(w_c GAP(x)_c + b_c)``, ``y = x s``; 2C parameters, w = 0 and b = -1 at first.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.full((channels,), -1.0))

    def logits(self, pooled: Tensor) -> Tensor:
        return self.weight * pooled + self.bias

    def init_constant(self) -> float:
        nn.init.zeros_(self.weight)
        nn.init.constant_(self.bias, -1)
        return sigmoid(-1)
