"""SEM, Switchable Excitation Module: a learned mixture of SE, ECA and IE."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import ChannelAttention, State
from ean_transfer.attention.eca import ECA
from ean_transfer.attention.ie import IE
from ean_transfer.attention.numerics import zero_parameters
from ean_transfer.attention.se import SE
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class SEM(ChannelAttention):
    """Switchable Excitation Module (Zhong et al. 2022, arXiv 2209.05680).

    Switches ``s = sigma(Linear(C, 3)(GAP(x)))`` weight what SE, ECA and IE give before their
    sigmoid (FC, ECA and IE): ``y = x sigma(s_1 FC) sigma(s_2 ECA) sigma(s_3 IE)``. 3C + 3
    parameters and those of SE, ECA (k) and IE (2C).

    Args:
        channels: C.
        reduction: SE's r.
        gamma: ECA's divisor, positive.
        beta: ECA's summand.
        hidden_divisor: SE's.

    Raises:
        ConfigError: r does not divide C, or gamma is not positive.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        gamma: float = 2,
        beta: float = 1,
        hidden_divisor: int | None = None,
    ) -> None:
        super().__init__()
        self.switch = nn.Linear(channels, 3)
        self.se = SE(channels, reduction, hidden_divisor)
        self.eca = ECA(channels, gamma, beta)
        self.ie = IE(channels)

    def weights(self, pooled: Tensor, state: State = None) -> tuple[Tensor, State]:
        switches = torch.sigmoid(self.switch(pooled))
        weights = torch.ones_like(pooled)
        for index, module in enumerate((self.se, self.eca, self.ie)):
            weights = weights * torch.sigmoid(switches[:, index, None] * module.logits(pooled))
        return weights, state

    def init_constant(self) -> float:
        zero_parameters(self.se.fc2, self.eca, self.ie)  # all that the switches weight
        return 0.125
