"""A residual stage whose connected blocks carry attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck, ResLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ean_transfer.attention import Attention, AttentionSpec, build_attention
from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError


class _AttendedBlock(nn.Module):
    """The forward of a residual block: ``relu(x + attention(branch(x)))``.

    Mixed into mmpretrain's blocks, which hold the layers. The attention is an argument and not a
    layer of the block, so that one module can serve a whole stage; the state goes in and comes out
    by value, so that recomputation under activation checkpointing gives the same result.
    """

    with_cp: bool
    conv1: nn.Module
    conv2: nn.Module
    conv3: nn.Module
    norm1: nn.Module
    norm2: nn.Module
    norm3: nn.Module
    relu: nn.Module
    drop_path: nn.Module
    downsample: nn.Module | None

    def branch(self, x: Tensor) -> Tensor:
        """The residual branch up to its last normalisation."""
        raise NotImplementedError

    def shortcut(self, x: Tensor) -> Tensor:
        """The input, projected where the shape changes."""
        return x if self.downsample is None else self.downsample(x)

    def join(self, branch: Tensor, shortcut: Tensor, in_place: bool = False) -> Tensor:
        """The block's output from its (recalibrated) branch, overwritten if asked, and shortcut."""
        branch = self.drop_path(branch)
        return self.relu(branch.add_(shortcut) if in_place else branch + shortcut)

    def forward(
        self,
        x: Tensor,
        attention: Attention | None = None,
        state: State = None,
        gate: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        def inner(x: Tensor, state: State) -> tuple[Tensor, State]:
            branch = self.branch(x)
            if attention is not None:
                attended, state = attention(branch, state)
                branch = attended if gate is None else torch.lerp(branch, attended, gate)
            return self.join(branch, self.shortcut(x)), state

        if self.with_cp and x.requires_grad:
            return checkpoint(inner, x, state, use_reentrant=False)
        return inner(x, state)


class TicketBasicBlock(_AttendedBlock, BasicBlock):
    """mmpretrain's BasicBlock with attention before the addition."""

    def branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        return self.norm2(self.conv2(out))


class TicketBottleneck(_AttendedBlock, Bottleneck):
    """mmpretrain's Bottleneck with attention before the addition."""

    def branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        return self.norm3(self.conv3(out))


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
