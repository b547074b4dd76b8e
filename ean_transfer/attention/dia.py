"""DIA, Dense-and-Implicit Attention: one LSTM per stage gives the channels' weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import ChannelAttention, State
from ean_transfer.attention.numerics import zero_parameters
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class DIA(ChannelAttention):
    """DIA-LSTM (Huang et al. 2020, arXiv 1905.10671), one LSTM cell for all blocks of a stage.

    ``gates = S_ih(GAP(x)) + S_hh(h)`` in the order i, f, g, o, with S(.) = Linear(C, C/r) - ReLU -
    Linear(C/r, 4C); ``c' = f c + i g``, ``h' = o sigma(c')`` (sigma, not tanh), ``y = x h'``.
    2 [C(C/r) + C/r + 4C(C/r) + 4C] parameters, C/r rounded down. h = c = 0 at a stage's first
    connected block; blocks without a connection do not advance the state.

    Args:
        channels: C.
        reduction: r; the papers use 4 on CIFAR and 20 on ImageNet. It need not divide C (20 does
            not divide 256), but must not exceed it.

    Raises:
        ConfigError: r is larger than C.
    """

    @checked_arguments
    def __init__(self, channels: int, reduction: Positive = 20) -> None:
        super().__init__()
        hidden = channels // reduction
        if hidden == 0:
            raise ConfigError(
                f"DIA: reduction={reduction} leaves no hidden unit for the {channels} channels it "
                "is applied to"
            )
        self.input_gates = self._small_map(channels, hidden)
        self.hidden_gates = self._small_map(channels, hidden)

    @staticmethod
    def _small_map(channels: int, hidden: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, 4 * channels)
        )

    def weights(self, pooled: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Weights (N, C) from pooled input (N, C); the state is ``(h, c)``, each (N, C)."""
        if state is None:
            state = (torch.zeros_like(pooled), torch.zeros_like(pooled))
        hidden, cell = state
        gates = self.input_gates(pooled) + self.hidden_gates(hidden)
        i, f, g, o = gates.chunk(4, dim=1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.sigmoid(cell)
        return hidden, (hidden, cell)

    def init_constant(self) -> float:
        zero_parameters(self.input_gates[-1], self.hidden_gates[-1])
        return 0.25  # every gate is sigma(0) and g is 0, so that c stays 0 along the stage
