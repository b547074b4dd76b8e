"""SPA, Spatial Pyramid Attention: one weight per channel from a pyramid of pools."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import ChannelAttention, hidden_channels
from ean_transfer.attention.numerics import zero_parameters
from ean_transfer.attention.passes import becomes_graph
from ean_transfer.attention.pooling import pyramid_averages
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.registry import ATTENTION

LEVELS = (4, 2, 1)
"""Cells per side of the pyramid's adaptive average pools: 16 + 4 + 1 = 21 values per channel."""


@ATTENTION.register_module()
class SPA(ChannelAttention):
    """Spatial Pyramid Attention (Guo et al. 2020, "SPANet: Spatial Pyramid Attention Network for
    Enhanced Image Recognition", ICME).

    v joins the adaptive average pools to 4 x 4, 2 x 2 and 1 x 1 cells, 21C values;
    ``s = sigma(W2 relu(W1 v))`` without biases, W1: 21C to C/r; ``y = x s``. 22 C^2 / r parameters.

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
        hidden = hidden_channels("SPA", channels, reduction, hidden_divisor)
        self.fc1 = nn.Linear(21 * channels, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, channels, bias=False)

    def pool(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 21C): 16C values of 4 x 4 cells, 4C of 2 x 2 and C of the mean."""
        # All cells in one product, which reads x once. ``adaptive_avg_pool2d`` would read it three
        # times, is slower forward and backward, and cannot be exported to ONNX with a dynamic
        # image size.
        cells = pyramid_averages(LEVELS, x)
        if becomes_graph() or x.is_contiguous():
            pooled = x.flatten(2) @ cells.T  # (N, C, 21)
        else:  # so that the gradient is channels-last as well
            pooled = (cells @ x.flatten(2).mT).mT
        levels = pooled.split([side**2 for side in LEVELS], dim=2)
        return torch.cat([level.flatten(1) for level in levels], dim=1)

    def pool_constant(self, values: Tensor) -> Tensor:
        cells = [values.repeat_interleave(level**2, dim=1) for level in LEVELS]
        return torch.cat(cells, dim=1)

    def logits(self, pooled: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(pooled)))

    def init_constant(self) -> float:
        zero_parameters(self.fc2)
        return 0.5
