"""CoordAtt, Coordinate Attention: weights per channel and row, and per channel and column."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ean_transfer.attention.base import (
    Attention,
    State,
    hidden_channels,
)
from ean_transfer.attention.numerics import zero_parameters
from ean_transfer.attention.passes import pooled, product
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.registry import ATTENTION

MIN_HIDDEN = 8  # channels between the convolutions, also where C/r is less


@ATTENTION.register_module()
class CoordAtt(Attention):
    """Coordinate Attention (Hou et al. 2021, arXiv 2103.02907).

    The means over W (N, C, H) and over H (N, C, W) are joined to (N, C, H + W) and pass a 1 x 1
    convolution to m = max(8, C/r) channels, BN and h-swish. They are split again, and for each a
    1 x 1 convolution back to C channels and sigma give a_h (N, C, H, 1) and a_w (N, C, 1, W);
    ``y = x a_h a_w``. Cm + m + 2m + 2 (mC + C) parameters.

    Where one module serves a whole stage, its BatchNorm's running statistics mix those of the
    blocks. Joined maps have at least two values per channel, so that BN trains on any batch.

    Args:
        channels: C.
        reduction: r, must divide C where C/r is more than 8, unless there is a ``hidden_divisor``.
        hidden_divisor: C/r is rounded to a multiple of it, see
            :func:`~ean_transfer.attention.base.hidden_channels`.

    Raises:
        ConfigError: r is not positive, or does not divide C although C/r is more than 8.
    """

    @checked_arguments
    def __init__(
        self, channels: int, reduction: Positive = 32, hidden_divisor: Positive | None = None
    ) -> None:
        super().__init__()
        hidden = MIN_HIDDEN
        if channels > MIN_HIDDEN * reduction:
            hidden = max(hidden, hidden_channels("CoordAtt", channels, reduction, hidden_divisor))
        self.conv = nn.Conv1d(channels, hidden, kernel_size=1)
        self.bn = nn.BatchNorm1d(hidden)
        self.conv_h = nn.Conv1d(hidden, channels, kernel_size=1)
        self.conv_w = nn.Conv1d(hidden, channels, kernel_size=1)

    def forward(
        self, x: Tensor, state: State = None, shortcut: Tensor | None = None
    ) -> tuple[Tensor, State]:
        height = x.shape[2]
        x, rows, columns = pooled(x, ("mean", (3,)), ("mean", (2,)))
        joined = torch.cat([rows.squeeze(3), columns.squeeze(2)], dim=2)
        hidden = F.hardswish(self.bn(_convolve(self.conv, joined)))
        a_h = torch.sigmoid(_convolve(self.conv_h, hidden[:, :, :height])).to(x.dtype)
        a_w = torch.sigmoid(_convolve(self.conv_w, hidden[:, :, height:])).to(x.dtype)
        gates = a_h[:, :, :, None], a_w[:, :, None, :]
        return product(x, *gates, shortcut=shortcut), state

    def init_constant(self) -> float:
        zero_parameters(self.conv_h, self.conv_w)
        return 0.25


def _convolve(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution of width 1, (N, C, L) to (N, D, L), as one product of matrices.

    torch's convolution multiplies image by image, where the many channels of the last stages meet
    few positions.
    """
    return F.linear(x.mT, layer.weight.squeeze(2), layer.bias).mT.contiguous()
