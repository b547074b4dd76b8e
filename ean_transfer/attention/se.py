"""SE, Squeeze-and-Excitation: one weight per channel from the pooled image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import ChannelAttention, hidden_channels
from ean_transfer.attention.numerics import zero_parameters
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class SE(ChannelAttention):
    """Squeeze-and-Excitation (Hu et al. 2018, arXiv 1709.01507).

    ``s = sigma(W2 relu(W1 GAP(x)))``, ``y = x s``; 2C(C/r) + C/r + C parameters.

    Args:
        channels: C.
        reduction: r, must divide C unless there is a ``hidden_divisor``.
        hidden_divisor: C/r is rounded to a multiple of it, see
            :func:`~ean_transfer.attention.base.hidden_channels`.

    Raises:
        ConfigError: r does not divide C.
    """

    @checked_arguments
    def __init__(
        self, channels: int, reduction: Positive = 16, hidden_divisor: Positive | None = None
    ) -> None:
        super().__init__()
        hidden = hidden_channels("SE", channels, reduction, hidden_divisor)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def logits(self, pooled: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(pooled)))

    def init_constant(self) -> float:
        zero_parameters(self.fc2)
        return 0.5
