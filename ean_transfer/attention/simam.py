"""Simple, parameter-free attention module."""

from __future__ import annotations

import torch
from torch import Tensor

from ean_transfer.attention.base import Attention, State, bessel_correction
from ean_transfer.errors import ConfigError
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class SimAM(Attention):
    """SimAM (Yang et al. 2021, "SimAM: A Simple, Parameter-Free Attention Module", ICML).

    With a channel's mean mu and unbiased variance v over space (0 on a 1 x 1 map),
    ``y = x sigma((x - mu)^2 / (4 (v + lambda)) + 1/2)``. No parameters, so it cannot start as a
    constant.

    Args:
        channels: C; any number.
        e_lambda: lambda, positive.

    Raises:
        ConfigError: If lambda is not positive: constant maps would be divided by zero.
    """

    def __init__(self, channels: int, e_lambda: float = 1e-4) -> None:
        super().__init__()
        if e_lambda <= 0:
            raise ConfigError(f"SimAM: e_lambda is positive, found e_lambda={e_lambda}")
        self.e_lambda = e_lambda

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        squares = (x - x.mean(dim=(2, 3), keepdim=True)).square()
        variance = squares.mean(dim=(2, 3), keepdim=True) * bessel_correction(x)
        return x * torch.sigmoid(squares / (4 * (variance + self.e_lambda)) + 0.5), state
