"""Predicting large images in tiles: bounded memory, every cell of a density map counted once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import model_validator
from torch import Tensor

from ean_transfer.io.checked import Checked, Natural, Positive


class Tiles(Checked):
    """How an image is cut into overlapping square tiles.

    The network sees each tile whole, and of its map the part between the middles of the overlaps is
    kept: next to a cut there are ``overlap / 2`` pixels of context. Where that reaches beyond the
    network's receptive field, the result is that of the whole image. An attention that pools over
    the image (SE, SGE, DIA ...) pools over the tile instead, so its result differs.

    Attributes:
        size: Side of a tile in pixels; an image no larger is not cut.
        overlap: Pixels that neighbouring tiles share, an even number.
        divisor: The largest stride within the network, in pixels. Tiles must begin where the
            network's own grid does, so ``size`` and half of ``overlap`` are multiples of it.
    """

    what = "tiles"

    size: Positive
    overlap: Natural
    divisor: Positive = 1

    @model_validator(mode="after")
    def _fits(self) -> Tiles:
        # An odd overlap is cut in halves of different size, which no network minds at divisor 1.
        step = 2 * self.divisor if self.divisor > 1 else 1
        if self.overlap >= self.size or self.size % self.divisor or self.overlap % step:
            raise ValueError(
                f"expected size as a multiple of {self.divisor} pixels and overlap as a smaller "
                f"multiple of {step}, found size {self.size} and overlap {self.overlap}"
            )
        return self

    @staticmethod
    def usual_overlap(size: int, divisor: int) -> int:
        """About a quarter of a tile, and a multiple of twice the divisor."""
        return 2 * divisor * round(size / (8 * divisor))


@dataclass(frozen=True)
class Window:
    """A tile along one axis, in pixels: what the network sees and what of its map is kept."""

    seen: slice
    kept: slice


def windows(size: int, tiles: Tiles) -> list[Window]:
    """The tiles along one axis; the parts they keep meet without gap or overlap.

    All but the last two tiles overlap by exactly ``tiles.overlap``; the last one ends with the
    image and is as large as the others, or smaller by less than ``tiles.divisor`` where that does
    not divide the image.

    Args:
        size: Length of the image along the axis, in pixels.
        tiles: How to cut.
    """
    step = tiles.size - tiles.overlap
    # On the network's grid, or a cell of its map would be of other pixels than in the whole image.
    last = tiles.divisor * math.ceil(max(0, size - tiles.size) / tiles.divisor)
    starts = [*range(0, last, step), last]
    cuts = [0, *(start + tiles.overlap // 2 for start in starts[1:]), size]
    return [
        Window(slice(start, min(start + tiles.size, size)), slice(*kept))
        for start, kept in zip(starts, zip(cuts, cuts[1:], strict=False), strict=True)
    ]


def tiled(network: Callable[[Tensor], Tensor], inputs: Tensor, tiles: Tiles, stride: int) -> Tensor:
    """A network's maps of large images, tile by tile.

    Args:
        network: (N, 3, h, w) -> (N, C, ceil(h / stride), ceil(w / stride)), for any h and w.
        inputs: (N, 3, H, W).
        tiles: How to cut.
        stride: Pixels per cell of the network's output.

    Returns:
        (N, C, ceil(H / stride), ceil(W / stride)).
    """
    rows = []
    for y in windows(inputs.shape[-2], tiles):
        row = []
        for x in windows(inputs.shape[-1], tiles):
            maps = network(inputs[..., y.seen, x.seen])
            row.append(maps[..., _cells(y, stride), _cells(x, stride)])
        rows.append(torch.cat(row, dim=-1))
    return torch.cat(rows, dim=-2)


def _cells(window: Window, stride: int) -> slice:
    """The cells to keep of the map of one tile."""
    first = window.seen.start
    # The image's own last cells may be cut by its edge where the stride does not divide it.
    return slice((window.kept.start - first) // stride, -((first - window.kept.stop) // stride))
