"""The forward hook by which a block's branch goes through its attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ean_transfer.attention import Attention
from ean_transfer.attention.base import State, recalibrate
from ean_transfer.attention.passes import becomes_graph
from ean_transfer.attention.recompute import PrivateBuffers, recomputed

# Cheap to compute again, and they keep their input anyway.
_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


class States:
    """What the attention of each block of a stage has passed on; copies and pickles start empty.

    Each block writes its own value and reads that of the last connected block before it. So a
    forward reads nothing of an earlier one, complete or not. Values are kept until the next
    forward, because activation checkpointing recomputes a block, which then reads its value again.
    """

    def __init__(self, length: int) -> None:
        self.values: list[State] = [None] * length

    def __getstate__(self) -> dict[str, Any]:
        return {"values": [None] * len(self.values)}


class Recalibration:
    """Forward hook on the end of a block's branch, which calls the attention.

    An object and not a closure: a copied model must get a hook with the copied modules.

    Args:
        attention: The attention to call.
        states: The states of the block's stage.
        index: Number of the block in its stage.
        channel_dim: Dimension of the channels in the branch, see :class:`ResidualBlock`.

    Attributes:
        lean: Whether the attention, and the block's end if it is a normalisation, are computed
            again in the backward pass instead of keeping their results.
    """

    def __init__(
        self, attention: Attention, states: States, index: int, channel_dim: int = 1
    ) -> None:
        self.attention = attention
        self.states = states
        self.index = index
        self.channel_dim = channel_dim
        self.previous: int | None = None  # the last connected block of the stage before this one
        self.lean = False

    def __call__(self, end: nn.Module, inputs: Any, branch: Tensor) -> Tensor:
        def from_branch(branch: Tensor, state: State) -> tuple[Tensor, State]:
            if self.channel_dim == 1:
                return recalibrate(self.attention, branch, state)
            channels_first = branch.movedim(self.channel_dim, 1)
            recalibrated, state = recalibrate(self.attention, channels_first, state)
            return recalibrated.movedim(1, self.channel_dim), state

        def from_input(z: Tensor, state: State) -> tuple[Tensor, State]:
            with PrivateBuffers([end]):  # the end has counted this batch already
                return from_branch(end.forward(z), state)

        values = self.states.values
        state = None if self.previous is None else values[self.previous]
        if not (self.lean and torch.is_grad_enabled()) or becomes_graph():
            branch, values[self.index] = from_branch(branch, state)
        elif isinstance(end, _NORMS):
            branch, values[self.index] = recomputed(from_input, [self.attention], *inputs, state)
        else:
            branch, values[self.index] = recomputed(from_branch, [self.attention], branch, state)
        return branch
