"""Small functions that several attention modules share."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ean_transfer.attention.passes import becomes_graph


def mean(x: Tensor, *axes: int, keepdim: bool = False) -> Tensor:
    """Mean over some axes, with a gradient that takes no memory.

    That of ``x.mean`` is divided at every position, and so becomes a map of x's size.
    """
    if becomes_graph() or not torch.is_grad_enabled():
        return x.mean(dim=axes, keepdim=keepdim)
    means = _Mean.apply(x, axes)
    return means if keepdim else means.squeeze(axes)


class _Mean(torch.autograd.Function):
    """Passes its gradient on as a view of the reduced values, in x's own dtype.

    ``x.sum`` does so too, but a sum of float16 may overflow where the mean does not, and one that
    is summed in float32 has its view written out in x's dtype, channels-last or not.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, axes: tuple[int, ...]) -> Tensor:
        ctx.shape, ctx.number = x.shape, math.prod(x.shape[axis] for axis in axes)
        return x.mean(dim=axes, keepdim=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return (gradients[0] / ctx.number).expand(ctx.shape), None


def unbiased_count(x: Tensor) -> int:
    """What the sum of squares over the last two axes is divided by for the unbiased variance.

    HW - 1, and 1 for a single value, whose variance is then 0 and not NaN.
    """
    # No branch on the size, so that networks can be exported with a dynamic image size.
    return max(x.shape[-2] * x.shape[-1] - 1, 1)


def spatial_variance(x: Tensor, average: Tensor) -> Tensor:
    """Unbiased variance over the last two axes; 0 (and not NaN) for a single value.

    Several times as fast as ``x.var`` on a CPU, and it keeps nothing but x for its gradient.

    Args:
        x: (..., H, W).
        average: (..., 1, 1), the mean.

    Returns:
        (..., 1, 1).
    """
    # About any fixed pivot, the squares' sum less HW (mean - pivot)^2 is the same, and so are its
    # gradients. With the mean as pivot that difference is 0, and no gradient is needed for the
    # pivot at every position.
    pivot = average.detach()
    squares = F.mse_loss(x, pivot.expand_as(x), reduction="none")
    biased = mean(squares, -2, -1, keepdim=True) - (average - pivot).square()
    return biased * (x.shape[-2] * x.shape[-1] / unbiased_count(x))


def spatial_std(centred: Tensor) -> Tensor:
    """Unbiased standard deviation over the last two axes; 0 (and not NaN) for a single value.

    Args:
        centred: (..., H, W), of mean 0.

    Returns:
        (..., 1, 1). Its gradient is finite also where all values are 0.
    """
    # The root is taken of a tensor: exporters know no root of a symbolic size.
    root = centred.new_full((), unbiased_count(centred)).sqrt()
    return torch.linalg.vector_norm(centred, dim=(-2, -1), keepdim=True) / root


def zero_parameters(*modules: nn.Module) -> None:
    """Set all parameters of the modules to zero."""
    for module in modules:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit))."""
    return 1 / (1 + math.exp(-logit))
