"""CBAM, Convolutional Block Attention Module: weights per channel, then per place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import (
    Attention,
    State,
    hidden_channels,
)
from ean_transfer.attention.numerics import zero_parameters
from ean_transfer.attention.passes import pooled, times
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.registry import ATTENTION


@ATTENTION.register_module()
class CBAM(Attention):
    """Convolutional Block Attention Module (Woo et al. 2018, arXiv 1807.06521).

    First the channels: ``x' = x sigma(MLP(avg) + MLP(max))``, where avg and max are the means and
    maxima over space, each (N, C), and both pass the same MLP, Linear(C, C/r) - ReLU -
    Linear(C/r, C). Then the positions: ``y = x' sigma(BN(conv_k([max; mean])))``, where max and
    mean are those of x' over its channels, each (N, 1, H, W), and the k x k convolution has no
    bias. 2C(C/r) + C/r + C + 2k^2 + 2 parameters.

    The BatchNorm (momentum 0.01) cannot train on one image of 1 x 1 pixels. Where one module serves
    a whole stage, its running statistics mix those of the blocks.

    Args:
        channels: C.
        reduction: r, must divide C unless there is a ``hidden_divisor``.
        kernel_size: k, odd.
        hidden_divisor: C/r is rounded to a multiple of it, see
            :func:`~ean_transfer.attention.base.hidden_channels`.

    Raises:
        ConfigError: r does not divide C or k is not odd.
    """

    @checked_arguments
    def __init__(
        self,
        channels: int,
        reduction: Positive = 16,
        kernel_size: Positive = 7,
        hidden_divisor: Positive | None = None,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ConfigError(f"CBAM: kernel_size: expected an odd number, found {kernel_size}")
        hidden = hidden_channels("CBAM", channels, reduction, hidden_divisor)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)

    def forward(
        self, x: Tensor, state: State = None, shortcut: Tensor | None = None
    ) -> tuple[Tensor, State]:
        x, average, maximum = pooled(x, ("mean", (2, 3)), ("amax", (2, 3)))
        channels = torch.sigmoid(self._mlp(average.flatten(1)) + self._mlp(maximum.flatten(1)))
        gate = channels[:, :, None, None].to(x.dtype)
        pools: list[Tensor]
        if shortcut is None:
            x, *pools = pooled(x, ("amax", (1,)), ("mean", (1,)), gate=gate)
        else:
            x, *pools = pooled(x.mul_(gate), ("amax", (1,)), ("mean", (1,)))
        positions = torch.sigmoid(self.bn(self.conv(torch.cat(pools, dim=1))))
        return times(x, positions.to(x.dtype), shortcut), state

    def _mlp(self, pooled: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(pooled)))

    def init_constant(self) -> float:
        # Zero BN's own weight and not the convolution's: BN would scale whatever the first step
        # makes of a zero convolution to unit variance, and move the gates far from 1/2 at once.
        zero_parameters(self.fc2, self.bn)
        return 0.25
