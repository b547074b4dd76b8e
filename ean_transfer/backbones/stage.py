"""A residual stage whose connected blocks carry attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmpretrain.models.backbones.resnet import ResLayer
from torch import Tensor, nn

from ean_transfer.attention import Attention, AttentionSpec, build_attention
from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError


class TicketStage(ResLayer):
    """mmpretrain's ResLayer, whose connected blocks carry attention.

    With sharing ``"stage"`` the stage holds one module, ``attention``, and with ``"block"`` every
    connected block holds its own ``attention``. Without a connected block there is none at all.
    Iteration and ``len`` see the blocks only.

    Args:
        mask: One truth value a block: is it connected?
        attention: What to connect; not used without a connected block.
        sharing: ``"stage"`` or ``"block"``.
        seed: Seeds the attention's initial values, apart from the global generator, so that arms
            which differ in their tickets start from the same convolutions.
        **kwargs: ResLayer's.
    """

    def __init__(
        self,
        *,
        mask: Sequence[bool],
        attention: AttentionSpec | None,
        sharing: str,
        seed: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.available = tuple(map(bool, mask))
        self.connected = self.available
        self.gates: Tensor | None = None
        channels = kwargs["out_channels"]
        if attention is None or not any(mask):
            return
        with torch.random.fork_rng(devices=[]):
            if sharing == "stage":
                torch.default_generator.manual_seed(seed)
                self.attention = build_attention(attention, channels)
            else:
                for index, block in enumerate(self):
                    if mask[index]:
                        torch.default_generator.manual_seed(seed + index)
                        block.attention = build_attention(attention, channels)

    def set_mask(self, mask: Sequence[bool]) -> None:
        """Choose which of the available connections the next forwards use.

        Raises:
            ConfigError: If the length is wrong or a connection was never built.
        """
        mask = tuple(map(bool, mask))
        if len(mask) != len(self.available):
            raise ConfigError(f"the stage has {len(self.available)} blocks, found {len(mask)} bits")
        if missing := [i for i, bit in enumerate(mask) if bit and not self.available[i]]:
            raise ConfigError(
                f"block {missing[0]} of the stage has no attention to connect: build the network "
                'with ticket="full" to choose masks later'
            )
        self.connected = mask

    def attention_of(self, block: nn.Module) -> Attention:
        """The module that a connected block uses: the stage's or its own."""
        shared: Any = getattr(self, "attention", None)
        own: Any = block
        return shared if shared is not None else own.attention

    def attentions(self) -> dict[Attention, list[Any]]:
        """Each attention module of the stage, and the blocks that it was built for."""
        found: dict[Attention, list[Any]] = {}
        for block, available in zip(self, self.available, strict=True):
            if available:
                found.setdefault(self.attention_of(block), []).append(block)
        return found

    def forward(self, x: Tensor) -> Tensor:
        state: State = None  # anew at each forward, on x's device and dtype
        for index, (block, connected) in enumerate(zip(self, self.connected, strict=True)):
            if connected:
                gate = None if self.gates is None else self.gates[index].to(x.dtype)
                x, state = block(x, self.attention_of(block), state, gate)
            else:
                x, _ = block(x)
        return x

    def __iter__(self) -> Iterator[nn.Module]:
        return (module for name, module in self._modules.items() if name != "attention")

    def __len__(self) -> int:
        return sum(1 for _ in self)
