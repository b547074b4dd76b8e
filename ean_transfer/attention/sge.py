"""SGE, Spatial Group-wise Enhance: one weight per place and group of channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import (
    Attention,
    State,
    require_divisible,
)
from ean_transfer.attention.numerics import sigmoid, spatial_std, unbiased_count
from ean_transfer.attention.passes import (
    add_product,
    becomes_graph,
    by_images,
    dense,
    gradients_of,
    is_plain,
)
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.registry import ATTENTION

EPSILON = 1e-5  # added to a standard deviation


@ATTENTION.register_module()
class SGE(Attention):
    """Spatial Group-wise Enhance (Li et al. 2019, arXiv 1905.09646).

    The channels are split into G groups. In each, the similarity of every position with the
    group's global average, ``t = sum_c x_c GAP(x)_c``, is normalised over space (unbiased standard
    deviation) and gates the group: ``y = x sigma(w t + b)``. 2G parameters; w starts at 0, b at 1.
    On a 1 x 1 map t equals its mean, so the gate is sigma(b).

    Args:
        channels: C.
        groups: G, must divide C.

    Raises:
        ConfigError: G does not divide C.
    """

    @checked_arguments
    def __init__(self, channels: int, groups: Positive = 64) -> None:
        super().__init__()
        require_divisible("SGE", channels, "groups", groups)
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(1, groups, 1, 1))
        self.bias = nn.Parameter(torch.ones(1, groups, 1, 1))

    def forward(
        self, x: Tensor, state: State = None, shortcut: Tensor | None = None
    ) -> tuple[Tensor, State]:
        if shortcut is not None:
            grouped = x.unflatten(1, (self.groups, -1))
            gate = _gate(*_similarity(grouped)[1:], self.weight, self.bias)
            add_product(shortcut.unflatten(1, (self.groups, -1)), grouped, gate)
            return x, state
        if is_plain(x):
            return _recalibrated(x, self.weight, self.bias), state
        return _SGE.apply(dense(x), self.weight, self.bias), state

    def init_constant(self) -> float:
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.bias)
        return sigmoid(1)


def _similarity(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each position's similarity with its group's mean, less its mean over space.

    Args:
        x: (N, G, C/G, H, W).

    Returns:
        The mean of x (N, G, C/G, 1, 1), the centred similarity (N, G, H, W), and its standard
        deviation (N, G, 1, 1).
    """
    average = x.mean(dim=(3, 4), keepdim=True)
    if x.is_contiguous():  # without a map of all products
        rows = average.flatten(2)[:, :, None] @ x.flatten(3)
        similarity = rows.view(x[:, :, 0].shape).to(x.dtype)  # autocast chooses another type
    else:  # the product of matrices would copy x
        similarity = _sum_of_groups(average * x)
    centred = similarity - similarity.mean(dim=(2, 3), keepdim=True)
    return average, centred, spatial_std(centred)


def _sum_of_groups(products: Tensor) -> Tensor:
    """Sum over the channels of each group, (N, G, C/G, H, W) to (N, G, H, W)."""
    if products.is_contiguous() or products.device.type != "cpu" or becomes_graph():
        return products.sum(dim=2)
    # Channels-last, where torch takes five times as long for sums of a few neighbouring values.
    last = products.movedim((1, 2), (3, 4))
    return (last @ last.new_ones(last.shape[-1])).movedim(3, 1).to(products.dtype)


def _widened(x: Tensor, space: Tensor) -> Tensor:
    """x (N, G, 1, H, W), channels-last for all channels: products with few neighbours are slow."""
    return x if space.is_contiguous() else space.copy_(x)


def _gate(centred: Tensor, deviation: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The gate (N, G, 1, H, W) of a similarity."""
    gate = torch.addcmul(bias, _slope(deviation, weight), centred).sigmoid_()
    return gate.to(centred.dtype)[:, :, None]


def _slope(deviation: Tensor, weight: Tensor) -> Tensor:
    """The derivative of the logits by the centred similarity, (N, G, 1, 1), which is finite.

    Where all similarities are equal, the quotient may exceed float16, and its product with their
    zeros would be NaN.
    """
    slope = weight / (deviation + EPSILON)
    largest = torch.finfo(slope.dtype).max
    return slope.clamp(-largest, largest)


def _recalibrated(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The formula, (N, C, H, W) to (N, C, H, W)."""
    grouped = x.unflatten(1, (weight.shape[1], -1))
    return (grouped * _gate(*_similarity(grouped)[1:], weight, bias)).flatten(1, 2)


class _SGE(torch.autograd.Function):
    """Keeps x and the normalised similarity, and works on a few images at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        grouped = x.unflatten(1, (weight.shape[1], -1))
        average, centred, deviation = _similarity(grouped)
        ctx.save_for_backward(x, weight, bias, average, centred, deviation)
        y = torch.empty_like(x)  # no view, or a block could not add its shortcut to it in place
        gate = _gate(centred, deviation, weight, bias)
        out = y.unflatten(1, (weight.shape[1], -1))
        torch.mul(grouped, _widened(gate, out), out=out)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, weight, bias, average, centred, deviation = ctx.saved_tensors
        if torch.is_grad_enabled():  # they are to be differentiated again
            return gradients_of(_recalibrated, (x, weight, bias), (dy,))
        of_x = torch.empty_like(x)
        maps = [t.unflatten(1, (weight.shape[1], -1)) for t in (x, dy, of_x)]
        gate = _gate(centred, deviation, weight, bias)
        slope = torch.empty_like(gate)
        for part, part_dy, of_gate, spare in by_images(*maps[:2], slope, scratch=1):
            of_gate[:, :, 0] = _sum_of_groups(torch.mul(part, part_dy, out=spare))
        slope = _through_sigmoid(slope, gate)[:, :, 0]
        of_bias = slope.sum(dim=(0, 2, 3), keepdim=True)
        normalised = centred / (deviation + EPSILON)  # before the sum, which float16 may not hold
        along = normalised.mul_(slope).sum(dim=(2, 3), keepdim=True)
        of_weight = along.sum(dim=0, keepdim=True)
        # Through the normalisation, which subtracts a mean and divides by a deviation.
        along /= unbiased_count(x)  # not of the product below, which float16 does not hold
        along /= deviation.clamp_min(torch.finfo(x.dtype).tiny)
        slope -= slope.mean(dim=(2, 3), keepdim=True)
        slope.addcmul_(centred, along, value=-1).mul_(_slope(deviation, weight))
        # Through the product of x and its mean.
        for part, part_dy, dx, mean, opened, of_similarity, spare, wide in by_images(
            *maps, average, gate, slope[:, :, None], scratch=2
        ):
            torch.mul(part_dy, _widened(opened, wide), out=dx)
            of_product = _widened(of_similarity, wide)
            dx.addcmul_(mean, of_product)
            torch.mul(part, of_product, out=spare)
            dx.add_(spare.mean(dim=(3, 4), keepdim=True))
        return of_x, of_weight, of_bias


def _through_sigmoid(gradient: Tensor, y: Tensor) -> Tensor:
    """The gradient of the logits of y, in the memory of that of y."""
    return gradient.mul_(y).addcmul_(gradient, y, value=-1)
