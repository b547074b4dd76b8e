"""Runs a supernet under many masks at once, and computes only once what the masks share.

A block's input depends only on the bits of the blocks before it. So the masks form a tree that
branches at each bit: masks with equal first bits share all work up to the block where they differ.
In that block they still share the convolutions; only the attention is called or not.
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
"""Context manager entered around each module call; it gets the module and its mask prefix."""


@dataclass
class _Node:
    """A node of the tree: the masks with one prefix, and the feature map that they share."""

    masks: list[Mask]
    depth: int  # number of blocks that have run
    x: Tensor
    state: State
    outputs: tuple[Tensor, ...]  # the backbone's outputs so far


def forward_masks(
    backbone: TicketBackbone,
    images: Tensor,
    masks: Sequence[Mask],
    around: Around = lambda module, bits: nullcontext(),
) -> Iterator[tuple[list[Mask], tuple[Tensor, ...]]]:
    """The backbone's outputs under many masks; the same values as under each alone.

    Walks the tree depth first, so that at most one feature map per block waits in memory.

    Args:
        backbone: A supernet's backbone, built with ticket ``"full"``. Its own mask is ignored.
        images: Images (N, 3, H, W).
        masks: Masks of one truth value per block, in any order, without repeats.
        around: Context manager entered around the stem, with no bits, and around each block, each
            attention and each output's last layer, with the bits that decide its input.

    Yields:
        Masks, and the stage outputs ``out_indices`` that they share. That is one mask at a time,
        unless masks differ only in stages that the backbone does not have.

    Raises:
        ConfigError: The backbone has attention to fold, which belongs to one ticket.
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
    first: bool  # whether it is its stage's first block, where the state starts anew
    output_layer: nn.Module | None  # the layer after it, if its output is one of the backbone's


def _children(node: _Node, places: Sequence[_Place], around: Around) -> list[_Node]:
    """Run the next block under a node: without attention, with it, or both.

    The tree's counterpart of :meth:`TicketStage.forward`: branch and shortcut are computed once for
    both children. A function of its own, so that the block's tensors are freed when it returns;
    reused memory is faster.
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
        # The last reader of the branch may overwrite its memory, unless a state could be a view.
        free = state is None if bit else len(masks) == len(node.masks)
        x = place.block.join(out, shortcut, in_place=free)
        outputs = node.outputs
        if place.output_layer is not None:
            with around(place.output_layer, (*bits, bit)):
                outputs = (*outputs, place.output_layer(x))
        children.append(_Node(masks, node.depth + 1, x, state, outputs))
    return children


class OwnStatistics:
    """BatchNorm statistics of their own for each node of the tree.

    Used as the ``around`` of :func:`forward_masks`: first within :meth:`estimating`, over all
    batches, then outside it. A node's statistics are plain averages over the batches.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, Mask], dict[str, Tensor]] = {}
        self._estimating = False

    @contextmanager
    def estimating(self) -> Iterator[None]:
        """Yield while batches are normalised by their own statistics, which are averaged.

        On exit the averages are used.
        """
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
    """The BatchNorm layers that a call at a node runs.

    For a backbone these are the stem's, and for a block those outside its attention.
    """
    if isinstance(module, MaskableNetwork):
        backbone: Any = module
        outputs = [backbone.output_layer(index) for index in range(len(backbone.stages))]
        later = {id(layer) for part in [*backbone.stages, *outputs] for layer in part.modules()}
        layers = [layer for layer in backbone.modules() if id(layer) not in later]
    else:
        names = module.named_modules()
        layers = [layer for name, layer in names if name.split(".")[0] != "attention"]
    return [layer for layer in layers if isinstance(layer, _BatchNorm)]


def _fresh(layer: _BatchNorm) -> dict[str, Tensor]:
    """Buffers of a layer that has seen no batch."""
    buffers = {name: torch.zeros_like(buffer) for name, buffer in layer.named_buffers()}
    return buffers | {"running_var": torch.ones_like(buffers["running_var"])}
