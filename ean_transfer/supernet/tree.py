"""Runs a supernet under many masks at once, and computes only once what the masks share.

A block's input depends only on the bits of the blocks before it. So the masks form a tree that
branches at each bit: masks with equal first bits share all work up to the block where they differ.
In that block they still share the convolutions; only the attention is called or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError
from ean_transfer.supernet.sharing import Work
from ean_transfer.ticket.mask import Mask

if TYPE_CHECKING:
    from ean_transfer.backbones import TicketBackbone
    from ean_transfer.backbones.stage import TicketStage

Position = Callable[[Mask], None]
"""Called before each step with the bits that decide its input."""


class Tree(Work):
    """Shares the work of a ticketed backbone, blocks' branches included, by :func:`forward_masks`.

    Within the context, the backbone's forward returns the features of the mask in use. They are
    computed when they are asked for; masks must be used in the order of :attr:`masks`.
    """

    def __enter__(self) -> Work:
        super().__enter__()
        self._images: Tensor | None = None
        self.network.forward = self._forward  # type: ignore[attr-defined]
        return self

    def __exit__(self, *exception: object) -> None:
        del self.network.forward  # type: ignore[attr-defined]
        super().__exit__(*exception)

    def _forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if images is not self._images or self.mask == self.masks[0]:
            self._images = images
            self._group: list[Mask] = []
            backbone: Any = self.network
            self._leaves = forward_masks(backbone, images, self.masks, self._stand_at)
        while self.mask not in self._group:
            self._group, self._features = next(self._leaves)
        self.bits = self.mask
        return self._features

    def _stand_at(self, bits: Mask) -> None:
        self.bits = bits


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
    position: Position = lambda bits: None,
) -> Iterator[tuple[list[Mask], tuple[Tensor, ...]]]:
    """The backbone's outputs under many masks; the same values as under each alone.

    Walks the tree depth first, so that at most one feature map per block waits in memory.

    Args:
        backbone: A supernet's backbone, built with ticket ``"full"``. Its own mask is ignored.
        images: Images (N, 3, H, W).
        masks: Masks of one truth value per block, in any order, without repeats.
        position: Called before the stem, with no bits, and before each block, each attention and
            each output's last layer, with the bits that decide its input.

    Yields:
        Masks, and the stage outputs ``out_indices`` that they share. That is one mask at a time,
        unless masks differ only in stages that the backbone does not have.

    Raises:
        ConfigError: The backbone has attention to fold, which belongs to one ticket.
    """
    if backbone.ticket.to_fold:
        raise ConfigError("masks are scored on a supernet without attention to fold: leave asr out")
    position(())
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
            waiting += _children(waiting.pop(), places, position)


@dataclass(frozen=True)
class _Place:
    """A block in its network."""

    stage: TicketStage
    block: Any
    first: bool  # whether it is its stage's first block, where the state starts anew
    output_layer: nn.Module | None  # the layer after it, if its output is one of the backbone's


def _children(node: _Node, places: Sequence[_Place], position: Position) -> list[_Node]:
    """Run the next block under a node: without attention, with it, or both.

    The tree's counterpart of :meth:`TicketStage.forward`: branch and shortcut are computed once for
    both children. A function of its own, so that the block's tensors are freed when it returns;
    reused memory is faster.
    """
    place, bits = places[node.depth], node.masks[0][: node.depth]
    position(bits)
    z, shortcut = place.block.split(node.x)
    branch = place.block.normalise(z)
    del z
    children = []
    for bit in (False, True):
        masks = [mask for mask in node.masks if bool(mask[node.depth]) == bit]
        if not masks:
            continue
        state = None if place.first else node.state
        if bit:
            position((*bits, bit))
            attention = place.stage.attention_of(place.block)
            x, state = place.block.attend(attention, branch, state, shortcut)  # its last reader
        else:
            alone = len(masks) == len(node.masks)
            x = place.block.join(branch, shortcut, in_place=alone)
        outputs = node.outputs
        if place.output_layer is not None:
            position((*bits, bit))
            outputs = (*outputs, place.output_layer(x))
        children.append(_Node(masks, node.depth + 1, x, state, outputs))
    return children
