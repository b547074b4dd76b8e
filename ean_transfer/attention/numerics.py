"""Small functions that several attention modules share."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attention.passes import becomes_graph, by_images, dense, gradients_of, is_plain


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


def mean_and_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance over space; the variance of a single value is 0, and not NaN.

    On a CPU several times as fast as ``x.var``. The gradient keeps nothing but x and the mean.

    Args:
        x: (N, C, H, W).

    Returns:
        Two tensors (N, C, 1, 1).
    """
    return _mean_and_variance(x) if is_plain(x) else _MeanAndVariance.apply(dense(x))


def _mean_and_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    average = x.mean(dim=(2, 3), keepdim=True)
    # Not their sum, which in float16 may overflow where the variance does not.
    square = (x - average).square().mean(dim=(2, 3), keepdim=True)
    return average, square * _of_unbiased(x)


def _of_unbiased(x: Tensor) -> float:
    """What the mean square is multiplied by for the unbiased variance."""
    return x.shape[2] * x.shape[3] / unbiased_count(x)


class _MeanAndVariance(torch.autograd.Function):
    """Works on a few images at a time, see :mod:`~.passes`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        average, variance = x.new_empty(2, *x.shape[:2], 1, 1)
        for part, mean, square, spare in by_images(x, average, variance, scratch=1):
            torch.mean(part, (2, 3), keepdim=True, out=mean)
            torch.mean(torch.sub(part, mean, out=spare).square_(), (2, 3), keepdim=True, out=square)
        ctx.save_for_backward(x, average)
        return average, variance.mul_(_of_unbiased(x))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, average = ctx.saved_tensors
        if torch.is_grad_enabled():  # they are to be differentiated again
            return gradients_of(_mean_and_variance, (x,), gradients)
        of_average, of_variance = gradients
        of_x = torch.empty_like(x)
        slope, level = 2 / unbiased_count(x), 1 / (x.shape[2] * x.shape[3])
        for part, mean, dx, of_mean, of_square in by_images(
            x, average, of_x, of_average * level, of_variance * slope
        ):
            torch.sub(part, mean, out=dx).mul_(of_square).add_(of_mean)
        return of_x


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
