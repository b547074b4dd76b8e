"""Small functions that several attention modules share."""

from __future__ import annotations

import math

from torch import Tensor, nn


def bessel_correction(x: Tensor) -> float:
    """The factor HW / (HW - 1) from the biased to the unbiased variance over the last two axes.

    It is 1 for a single value, whose variance is then 0 and not NaN.
    """
    # No branch on the size, so that networks can be exported with a dynamic image size.
    positions = x.shape[-2] * x.shape[-1]
    return positions / max(positions - 1, 1)


def spatial_std(x: Tensor) -> Tensor:
    """Unbiased standard deviation over the last two axes; 0 (and not NaN) for a single value.

    Args:
        x: (..., H, W).

    Returns:
        (..., 1, 1). Its gradient is finite also where x is constant.
    """
    # The root is taken of a tensor: exporters know no root of a symbolic size.
    correction = x.new_full((), bessel_correction(x)).sqrt()
    return x.std(dim=(-2, -1), correction=0, keepdim=True) * correction


def zero_parameters(*modules: nn.Module) -> None:
    """Set all parameters of the modules to zero."""
    for module in modules:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit))."""
    return 1 / (1 + math.exp(-logit))
