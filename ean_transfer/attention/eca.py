"""ECA, Efficient Channel Attention: one weight per channel from its neighbours."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ean_transfer.attention.base import ChannelAttention
from ean_transfer.attention.numerics import zero_parameters
from ean_transfer.io.checked import PositiveNumber, checked_arguments
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class ECA(ChannelAttention):
    """Efficient Channel Attention (Wang et al. 2020, arXiv 1910.03151).

    ``s = sigma(conv1d_k(GAP(x)))``, a convolution across the channels without bias, ``y = x s``;
    k parameters. k is ``|(log2 C + beta) / gamma|``, rounded down and, if even, one more: 3 for 8
    to 64 channels, 5 for 128 to 1024, 7 for 2048.

    Args:
        channels: C.
        gamma: Divisor in k, positive.
        beta: Summand in k.

    Raises:
        ConfigError: gamma is not positive.
    """

    @checked_arguments
    def __init__(self, channels: int, gamma: PositiveNumber = 2, beta: float = 1) -> None:
        super().__init__()
        width = int(abs((math.log2(channels) + beta) / gamma))
        kernel_size = width if width % 2 else width + 1
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def logits(self, pooled: Tensor) -> Tensor:
        return self.conv(pooled[:, None])[:, 0]

    def init_constant(self) -> float:
        zero_parameters(self.conv)
        return 0.5
