"""One residual stage: its blocks, and the attention that some of them call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmpretrain.models.backbones.resnet import ResLayer
from torch import Tensor, nn

from ean_transfer.attachment.draws import drawing_apart
from ean_transfer.attention import ASR, Attention, AttentionSpec, build_attention
from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.mask import Mask

_HELD = ("attention", "asr")  # names of the modules that are no residual blocks


class TicketStage(ResLayer):
    """mmpretrain's ResLayer, whose connected blocks carry attention.

    A new stage is plain; :meth:`connect` adds the attention. With sharing ``"stage"`` the stage
    holds one module, ``attention``; with ``"block"`` every connected block holds its own. A stage
    without a connected block has none. Re-parameterised attention (:mod:`ean_transfer.asr`) is held
    in the same way, under the name ``asr``.

    Iteration and ``len`` see the residual blocks only.

    Args:
        **kwargs: Arguments of ResLayer.

    Attributes:
        available: The mask of the connections that were built.
        connected: The mask that the next forward uses, a part of ``available``.
        to_fold: The mask of the blocks with re-parameterised attention.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels: int = kwargs["out_channels"]
        self.available: Mask = (False,) * len(self)
        self.connected = self.available
        self.to_fold = self.available

    def connect(
        self, mask: Mask, to_fold: Mask, attention: AttentionSpec, sharing: str, seed: int
    ) -> None:
        """Build the attention of a plain stage.

        Args:
            mask: The blocks to connect.
            to_fold: The blocks whose branches get re-parameterised attention.
            attention: The attention to build.
            sharing: ``"stage"``: one module for all blocks; ``"block"``: one per block.
            seed: Seed of the initial values.
        """

        def build() -> Attention:
            return build_attention(attention, self.channels)

        self._hold("attention", mask, sharing, seed, build)
        self._hold("asr", to_fold, sharing, seed, lambda: ASR(build(), self.channels))
        self.available = self.connected = mask
        self.to_fold = to_fold

    def _hold(
        self, name: str, mask: Mask, sharing: str, seed: int, build: Callable[[], nn.Module]
    ) -> None:
        """Build the modules for the blocks of a mask, and register each where it is held."""
        holders = {index: block for index, block in enumerate(self) if mask[index]}
        if holders and sharing == "stage":
            holders = {0: self}
        for index, holder in holders.items():
            with drawing_apart(seed + index):
                holder.add_module(name, build())

    def checked(self, mask: Sequence[bool | int]) -> Mask:
        """Return a mask of this stage as truth values, if all its connections were built.

        Raises:
            ConfigError: A connection was not built.
        """
        for index, (bit, built) in enumerate(zip(mask, self.available, strict=True)):
            if bit and not built:
                raise ConfigError(
                    f"block {index} of the stage has no attention to connect: build the network "
                    'with ticket="full" to choose masks later'
                )
        return tuple(map(bool, mask))

    def disconnect(self, mask: Sequence[bool | int]) -> None:
        """Remove, for good, all connections that are not in a mask, and their modules."""
        self.available = self.connected = self.checked(mask)
        holders = [block for block, kept in zip(self, self.available, strict=True) if not kept]
        if not any(self.available):
            holders.append(self)
        _remove("attention", holders)

    def remove_asr(self) -> None:
        """Remove the re-parameterised attention, e.g. once it is folded into the layers."""
        _remove("asr", [self, *self])
        self.to_fold = (False,) * len(self.available)

    def attention_of(self, block: nn.Module) -> Attention:
        """The attention that a connected block calls: the stage's or its own."""
        return self._held("attention", block)

    def _held(self, name: str, block: nn.Module) -> Any:
        return getattr(self if hasattr(self, name) else block, name)

    def scales(self) -> Iterator[Tensor | None]:
        """Yield per block the channel weights (C,) of its re-parameterised attention, or ``None``
        for a block without one."""
        state: State = None
        for block, has_asr in zip(self.blocks, self.to_fold, strict=True):
            scale = None
            if has_asr:
                scale, state = self._held("asr", block)(state)
            yield scale

    def attentions(self) -> dict[Attention | ASR, list[Any]]:
        """Each attention module of either kind -> the blocks that it was built for."""
        users: dict[Attention | ASR, list[Any]] = {}
        for block, *has in zip(self, self.available, self.to_fold, strict=True):
            for name, is_held in zip(_HELD, has, strict=True):
                if is_held:
                    users.setdefault(self._held(name, block), []).append(block)
        return users

    def forward(self, x: Tensor) -> Tensor:
        state: State = None  # starts anew at each forward, on x's device and dtype
        scales = self.scales()
        for block, connected, scale in zip(self.blocks, self.connected, scales, strict=True):
            if connected:
                x, state = block(x, self.attention_of(block), state, scale)
            else:
                x, _ = block(x, scale=scale)
        return x

    # An nn.Sequential takes all children for its steps. The attention must be a child too, because
    # checkpoints know it as layer1.attention.
    @property
    def blocks(self) -> list[Any]:
        """The residual blocks. In a forward this list and not the stage itself is iterated over:
        torch 2.6 cannot compile the latter."""
        return [module for name, module in self._modules.items() if name not in _HELD]

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)


def _remove(name: str, holders: Sequence[nn.Module]) -> None:
    for holder in holders:
        if hasattr(holder, name):
            delattr(holder, name)
