"""SGE, Spatial Group-wise Enhance: one weight per place and group of channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import (
    Attention,
    State,
    require_divisible,
)
from ean_transfer.attention.numerics import mean, sigmoid, spatial_std
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.registry import ATTENTION


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

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        n, c, h, w = x.shape
        grouped = x.reshape(n, self.groups, c // self.groups, h, w)
        average = mean(grouped, 3, 4, keepdim=True)
        if x.is_contiguous():  # without a map of all products
            rows = average.view(n * self.groups, 1, -1)
            similarity = (rows @ grouped.view(n * self.groups, -1, h * w)).view(n, -1, h, w)
        else:  # the product of matrices would copy x
            similarity = (average * grouped).sum(dim=2)
        centred = similarity - mean(similarity, 2, 3, keepdim=True)
        scale = self.weight / (spatial_std(centred) + 1e-5)
        gate = torch.addcmul(self.bias, scale, centred).sigmoid_().to(x.dtype)
        return (grouped * gate[:, :, None]).reshape(n, c, h, w), state

    def init_constant(self) -> float:
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.bias)
        return sigmoid(1)
