"""SimAM: one weight per value, without parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ean_transfer.attention.base import Attention, State
from ean_transfer.attention.numerics import unbiased_count
from ean_transfer.attention.passes import (
    add_product,
    by_images,
    dense,
    gradients_of,
    is_plain,
    times,
)
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

    def forward(
        self, x: Tensor, state: State = None, shortcut: Tensor | None = None
    ) -> tuple[Tensor, State]:
        if shortcut is None and not is_plain(x):
            return _SimAM.apply(dense(x), self.e_lambda), state
        gate = _statistics_and_gate(x, self.e_lambda)[-1]
        return times(gate, x) if shortcut is None else add_product(shortcut, x, gate), state


def _statistics_and_gate(x: Tensor, e_lambda: float) -> tuple[Tensor, Tensor, Tensor]:
    """The mean, 1 / (4 (v + lambda)), and the gate: what y is, if multiplied by x."""
    average = x.mean(dim=(2, 3), keepdim=True)
    squares = (x - average).square_()
    # In float16 the sum may overflow where the variance does not.
    wide = torch.promote_types(x.dtype, torch.float32)
    variance = squares.sum(dim=(2, 3), keepdim=True, dtype=wide) / unbiased_count(x)
    scale = (1 / (4 * (variance + e_lambda))).to(x.dtype)
    # No ``addcmul``: with two arguments that are broadcast, it is twice as slow as this.
    return average, scale, squares.mul_(scale).add_(0.5).sigmoid_()


class _SimAM(torch.autograd.Function):
    """Keeps x and two values per channel, and works on a few images at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, e_lambda: float) -> Tensor:
        y, average, scale = torch.empty_like(x), *x.new_empty(2, *x.shape[:2], 1, 1)
        for part, out, mean, inverse in by_images(x, y, average, scale):
            *statistics, gate = _statistics_and_gate(part, e_lambda)
            mean.copy_(statistics[0])
            inverse.copy_(statistics[1])
            torch.mul(part, gate, out=out)
        ctx.e_lambda = e_lambda
        ctx.save_for_backward(x, average, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, *statistics = ctx.saved_tensors
        if torch.is_grad_enabled():  # they are to be differentiated again

            def formula(x: Tensor) -> Tensor:
                return x * _statistics_and_gate(x, ctx.e_lambda)[-1]

            return *gradients_of(formula, (x,), gradients), None
        of_x = torch.empty_like(x)
        count = unbiased_count(x)
        half = x.new_tensor(0.5)
        for part, dy, dx, average, scale, t, gate, slope in by_images(
            x, *gradients, of_x, *statistics, scratch=3
        ):
            # With t = (x - mu) sqrt(scale), the gate is sigma(t^2 + 1/2). The means are over space.
            root = scale.sqrt()
            torch.sub(part, average, out=t).mul_(root)
            torch.addcmul(half, t, t, out=gate).sigmoid_()
            torch.mul(dy, gate, out=dx)
            torch.mul(dx, part, out=slope)  # of the loss in t^2, from the next line on times t
            slope.addcmul_(slope, gate, value=-1).mul_(t)
            of_average = slope.mean(dim=(2, 3), keepdim=True)
            of_variance = torch.mul(slope, t, out=gate).sum(dim=(2, 3), keepdim=True) / count
            dx.addcmul_(slope, 2 * root).addcmul_(t, -8 * root * of_variance)
            dx.sub_(2 * root * of_average)
        return of_x, None
