"""SimAM: one weight per value, without parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ean_transfer.attention.base import Attention, State
from ean_transfer.attention.numerics import mean, times, unbiased_count
from ean_transfer.io.checked import PositiveNumber, checked_arguments
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class SimAM(Attention):
    """SimAM (Yang et al. 2021, "SimAM: A Simple, Parameter-Free Attention Module", ICML).

    With a channel's mean mu and unbiased variance v over space (0 on a 1 x 1 map),
    ``y = x sigma((x - mu)^2 / (4 (v + lambda)) + 1/2)``. No parameters, so it cannot start as a
    constant.

    Args:
        channels: C, unused: all channels are treated alike.
        e_lambda: lambda, positive, or constant maps would be divided by zero.

    Raises:
        ConfigError: lambda is not positive.
    """

    @checked_arguments
    def __init__(self, channels: int, e_lambda: PositiveNumber = 1e-4) -> None:
        super().__init__()
        self.e_lambda = e_lambda

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        average = mean(x, 2, 3, keepdim=True)
        squares = F.mse_loss(x, average.expand_as(x), reduction="none")
        variance = squares.sum(dim=(2, 3), keepdim=True) / unbiased_count(x)
        scale = 1 / (4 * (variance + self.e_lambda))
        gate = torch.addcmul(scale.new_tensor(0.5), scale, squares).sigmoid_()
        return times(gate.to(x.dtype), x), state
