"""Many masks at once: what masks have in common is computed once.

A block's layers see only what the bits before it decide. So the masks form a tree, branching at
each bit, and masks that share their first bits share all work up to where they part; even there
the convolutions are shared, and only the attention is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.mask import Mask

if TYPE_CHECKING:
    from ean_transfer.backbones import TicketBackbone
    from ean_transfer.backbones.stage import TicketStage

Around = Callable[[nn.Module, Mask], AbstractContextManager[None]]
"""What to enter around running a module at a place of the tree, named by the bits that lead there.
"""


@dataclass
class _Node:
    """A place of the tree: the masks that pass it, and the feature map that they share."""

    masks: list[Mask]
    depth: int  # blocks behind it
    x: Tensor
    state: State
    outputs: tuple[Tensor, ...]  # of the stages behind it that the backbone returns


def forward_masks(
    backbone: TicketBackbone,
    images: Tensor,
    masks: Sequence[Mask],
    around: Around = lambda module, bits: nullcontext(),
) -> Iterator[tuple[list[Mask], tuple[Tensor, ...]]]:
    """The backbone's outputs under many masks; the same values as under each alone.

    Walks the tree depth first, so that at most one feature map a block waits in memory.

    Args:
        backbone: A supernet's, built with ticket ``"full"``. Its own mask plays no part.
        images: (N, 3, H, W).
        masks: One truth value a block each; in any order, without repeats.
        around: Entered around the stem, with no bits, and around each block, each attention and
            each output's last layer, with the bits that decide its input.

    Yields:
        Masks, and the stage outputs ``out_indices`` that they have in common. That is one mask at
        a time, unless masks differ only in stages that the backbone does not have.

    Raises:
        ConfigError: If the backbone has attention to fold, which belongs to one ticket.
    """
    if backbone.ticket.to_fold:
        raise ConfigError("masks are scored on a supernet without attention to fold: leave asr out")
    with around(backbone, ()):
        waiting = [_Node(list(masks), 0, backbone.stem_forward(images), None, ())]
    places = [
        _Place(
            stage,
            block,
            first=position == 0,
            output_layer=backbone.output_layer(index)
            if position == len(stage) - 1 and index in backbone.out_indices
            else None,
        )
        for index, stage in enumerate(backbone.stages)
        for position, block in enumerate(stage)
    ]
    while waiting:
        if waiting[-1].depth == len(places):
            leaf = waiting.pop()
            yield leaf.masks, leaf.outputs
        else:
            waiting += _children(waiting.pop(), places, around)


@dataclass(frozen=True)
class _Place:
    """A block in its network."""

    stage: TicketStage
    block: Any
    first: bool  # of its stage, so that the state starts anew
    output_layer: nn.Module | None  # what follows if its output is one of the backbone's


def _children(node: _Node, places: Sequence[_Place], around: Around) -> list[_Node]:
    """The next block under a node: without attention, with it, or both.

    A function of its own, so that nothing of a block outlives it: memory used again is faster.
    """
    place, bits = places[node.depth], node.masks[0][: node.depth]
    with around(place.block, bits):
        branch, shortcut = place.block.split(node.x)
    children = []
    for bit in (False, True):
        masks = [mask for mask in node.masks if bool(mask[node.depth]) == bit]
        if not masks:
            continue
        out, state = branch, None if place.first else node.state
        if bit:
            attention = place.stage.attention_of(place.block)
            with around(attention, (*bits, bit)):
                out, state = attention(branch, state)
        # The branch's memory is free for the last who reads it; a state could be part of it.
        free = state is None if bit else len(masks) == len(node.masks)
        x = place.block.join(out, shortcut, in_place=free)
        outputs = node.outputs
        if place.output_layer is not None:
            with around(place.output_layer, (*bits, bit)):
                outputs = (*outputs, place.output_layer(x))
        children.append(_Node(masks, node.depth + 1, x, state, outputs))
    return children


class OwnStatistics:
    """BatchNorm statistics estimated anew, for each place of the tree its own.

    Used as the ``around`` of :func:`forward_masks`: first while :meth:`estimating`, over all
    batches, then without. At each place the statistics are plain averages over the batches.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, Mask], dict[str, Tensor]] = {}
        self._estimating = False

    @contextmanager
    def estimating(self) -> Iterator[None]:
        """Within: batches are normalised by themselves, and their statistics averaged."""
        self._estimating = True
        try:
            yield
        finally:
            self._estimating = False

    @contextmanager
    def __call__(self, module: nn.Module, bits: Mask) -> Iterator[None]:
        layers = _own_layers(module)
        before = [(layer, dict(layer._buffers), layer.training, layer.momentum) for layer in layers]
        for layer in layers:
            if (id(layer), bits) not in self._buffers:
                self._buffers[id(layer), bits] = _fresh(layer)
            layer._buffers.update(self._buffers[id(layer), bits])
            layer.training, layer.momentum = self._estimating, None
        try:
            yield
        finally:
            for layer, buffers, training, momentum in before:
                layer._buffers.update(buffers)
                layer.training, layer.momentum = training, momentum


def _own_layers(module: nn.Module) -> list[_BatchNorm]:
    """BatchNorm layers that run with a module: of a backbone the stem's, of a block not the
    attention's, of anything else all."""
    if isinstance(module, MaskableNetwork):
        stages: list[nn.Module] = [*module.stages]
        outputs = [module.output_layer(index) for index in range(len(stages))]
        later = {id(layer) for part in stages + outputs for layer in part.modules()}
        found = (layer for layer in module.modules() if id(layer) not in later)
    else:
        found = (
            layer for name, layer in module.named_modules() if name.split(".")[0] != "attention"
        )
    return [layer for layer in found if isinstance(layer, _BatchNorm)]


def _fresh(layer: _BatchNorm) -> dict[str, Tensor]:
    """Buffers of a layer that has seen nothing."""
    buffers = {name: torch.zeros_like(buffer) for name, buffer in layer.named_buffers()}
    return buffers | {"running_var": torch.ones_like(buffers["running_var"])}
