"""LSAS, Lightweight Sub-Attention Strategy: an attention whose weights are attended in turn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import ChannelAttention, State
from ean_transfer.attention.numerics import sigmoid
from ean_transfer.attention.se import SE
from ean_transfer.io.checked import Natural, Positive, checked_arguments
from ean_transfer.registry import ATTENTION

WEIGHT, BIAS = 0.5, -0.5  # initial values


@ATTENTION.register_module()
class LSAS(ChannelAttention):
    """Lightweight Sub-Attention Strategy on SE (Zhong et al. 2023, arXiv 2305.05200).

    ``sub_0`` is what SE gives before its sigmoid, ``sub_i = w_i sub_{i-1} + b_i`` channel by
    channel, ``y = x prod_{i=0..n} sigma(sub_i)``. SE's parameters and 2Cn more; w starts at 0.5, b
    at -0.5. n = 0 is SE.

    Args:
        channels: C.
        reduction: SE's r.
        n: Number of sub-attentions, 0 or more.
        hidden_divisor: SE's.

    Raises:
        ConfigError: r does not divide C or n is negative.
    """

    @checked_arguments
    def __init__(
        self,
        channels: int,
        reduction: Positive = 16,
        n: Natural = 1,
        hidden_divisor: Positive | None = None,
    ) -> None:
        super().__init__()
        self.se = SE(channels, reduction, hidden_divisor)
        self.sub_weights = nn.ParameterList(torch.full((channels,), WEIGHT) for _ in range(n))
        self.sub_biases = nn.ParameterList(torch.full((channels,), BIAS) for _ in range(n))

    def weights(self, pooled: Tensor, state: State = None) -> tuple[Tensor, State]:
        sub = self.se.logits(pooled)
        weights = torch.sigmoid(sub)
        for weight, bias in zip(self.sub_weights, self.sub_biases, strict=True):
            sub = weight * sub + bias
            weights = weights * torch.sigmoid(sub)
        return weights, state

    def init_constant(self) -> float:
        sub = 0.0  # what SE gives before its sigmoid
        constant = self.se.init_constant()
        for weight, bias in zip(self.sub_weights, self.sub_biases, strict=True):
            nn.init.constant_(weight, WEIGHT)
            nn.init.constant_(bias, BIAS)
            sub = WEIGHT * sub + BIAS
            constant *= sigmoid(sub)
        return constant
