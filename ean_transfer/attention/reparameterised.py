"""ASR: an attention with a learned input instead of the image's, to be folded into its layer.

The folding is in :mod:`ean_transfer.asr`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ean_transfer.attention.base import Attention, ChannelAttention, State
from ean_transfer.errors import ConfigError

INITIAL_PSI = 0.1


class ASR(nn.Module):
    """Attention-alike structural re-parameterisation (Zhong et al. 2023, arXiv 2304.06345).

    The module T gets a learned vector psi as its pooled input: ``v = T(psi)``, ``y = x v``. It is
    trained like an attention. Since v is the same for all images, it is then folded into the layer
    before it. A BatchNorm within T (SRM's) has only one value per channel to normalise: it keeps
    its initial statistics, so that only its weight and bias are trained.

    Args:
        attention: T, an attention of one weight per channel from pooled input.
        channels: C.

    Raises:
        ConfigError: T is not such an attention.
    """

    def __init__(self, attention: Attention, channels: int) -> None:
        super().__init__()
        if not isinstance(attention, ChannelAttention):
            raise ConfigError(
                f"{type(attention).__name__} cannot be re-parameterised: its weights differ from "
                "position to position, and only one weight per channel can be folded into a layer"
            )
        self.attention = attention
        self.psi = nn.Parameter(torch.full((channels,), INITIAL_PSI))
        self.train()

    def forward(self, state: State = None) -> tuple[Tensor, State]:
        """The weights v (C,), and the state for the stage's next such block."""
        pooled = self.attention.pool_constant(self.psi[None])
        weights, state = self.attention.weights(pooled, state)
        return weights[0], state

    def init_constant(self) -> float:
        """Let v start as one constant and return it.

        See :meth:`~ean_transfer.attention.Attention.init_constant`.
        """
        return self.attention.init_constant()

    def train(self, mode: bool = True) -> ASR:
        """Set the mode of all layers but the BatchNorms, which always keep their statistics."""
        super().train(mode)
        for layer in self.attention.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
        return self
