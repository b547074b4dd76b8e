"""A residual stage whose connected blocks carry attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from mmpretrain.models.backbones.resnet import ResLayer
from torch import Tensor, nn

from ean_transfer.attention import ASR, Attention, AttentionSpec, build_attention
from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError


class TicketStage(ResLayer):
    """mmpretrain's ResLayer, whose connected blocks carry attention.

    With sharing ``"stage"`` the stage holds one module, ``attention``, and with ``"block"`` every
    connected block holds its own ``attention``. Without a connected block there is none at all.
    Iteration and ``len`` see the blocks only.

    Where attention is re-parameterised (:mod:`ean_transfer.asr`), ``asr`` modules lie beside it in
    the same way.

    Args:
        mask: One truth value a block: is it connected?
        asr: Likewise: is attention re-parameterised there? Empty: nowhere.
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
        asr: Sequence[bool],
        attention: AttentionSpec | None,
        sharing: str,
        seed: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.available = tuple(map(bool, mask))
        self.connected = self.available
        self.to_fold = tuple(map(bool, asr)) or (False,) * len(self.available)
        channels = kwargs["out_channels"]
        if attention is None:
            return

        def hold(name: str, mask: Sequence[bool], build: Callable[[], nn.Module]) -> None:
            blocks = [(index, block) for index, block in enumerate(self) if mask[index]]
            with torch.random.fork_rng(devices=[]):
                for index, holder in [(0, self)] if sharing == "stage" and blocks else blocks:
                    torch.default_generator.manual_seed(seed + index)
                    holder.add_module(name, build())

        hold("attention", self.available, lambda: build_attention(attention, channels))
        hold("asr", self.to_fold, lambda: ASR(build_attention(attention, channels), channels))

    def set_mask(self, mask: Sequence[bool]) -> None:
        """Choose which of the available connections the next forwards use.

        Raises:
            ConfigError: As :meth:`checked`.
        """
        self.connected = self.checked(mask)

    def checked(self, mask: Sequence[bool | int]) -> tuple[bool, ...]:
        """A mask that can be set.

        Raises:
            ConfigError: If the length is wrong or a connection was never built.
        """
        found = tuple(map(bool, mask))
        if len(found) != len(self.available):
            raise ConfigError(
                f"the stage has {len(self.available)} blocks, found {len(found)} bits"
            )
        if missing := [i for i, bit in enumerate(found) if bit and not self.available[i]]:
            raise ConfigError(
                f"block {missing[0]} of the stage has no attention to connect: build the network "
                'with ticket="full" to choose masks later'
            )
        return found

    def disconnect(self, mask: Sequence[bool]) -> None:
        """Take away, for good, all connections but some of those that were built."""
        self.set_mask(mask)
        self.available = self.connected
        holders = [block for block, here in zip(self, self.available, strict=True) if not here]
        for holder in [*holders, *([] if any(self.available) else [self])]:
            if hasattr(holder, "attention"):
                del holder.attention

    def attention_of(self, block: nn.Module) -> Attention:
        """The module that a connected block uses: the stage's or its own."""
        shared: Any = getattr(self, "attention", None)
        own: Any = block
        return shared if shared is not None else own.attention

    def scales(self) -> Iterator[Tensor | None]:
        """For each block what its re-parameterised attention multiplies the branch by, a value a
        channel, (C,); ``None`` where there is none."""
        state: State = None
        for block, here in zip(self, self.to_fold, strict=True):
            if here:
                holder: Any = self if hasattr(self, "asr") else block
                scale, state = holder.asr(state)
                yield scale
            else:
                yield None

    def forget_asr(self) -> None:
        """Take the re-parameterised attention away, as if the stage was built without."""
        for holder in (self, *self):
            if hasattr(holder, "asr"):
                del holder.asr
        self.to_fold = (False,) * len(self.available)

    def attentions(self) -> dict[Attention | ASR, list[Any]]:
        """Each attention module of the stage, of either kind, and the blocks it was built for."""
        found: dict[Attention | ASR, list[Any]] = {}
        for block, kept, folded in zip(self, self.available, self.to_fold, strict=True):
            if kept:
                found.setdefault(self.attention_of(block), []).append(block)
            if folded:
                holder: Any = self if hasattr(self, "asr") else block
                found.setdefault(holder.asr, []).append(block)
        return found

    def forward(self, x: Tensor) -> Tensor:
        state: State = None  # anew at each forward, on x's device and dtype
        scales = self.scales()
        for block, connected, scale in zip(self, self.connected, scales, strict=True):
            if connected:
                x, state = block(x, self.attention_of(block), state, scale)
            else:
                x, _ = block(x, scale=scale)
        return x

    def __iter__(self) -> Iterator[nn.Module]:
        return (m for name, m in self._modules.items() if name not in ("attention", "asr"))

    def __len__(self) -> int:
        return sum(1 for _ in self)
