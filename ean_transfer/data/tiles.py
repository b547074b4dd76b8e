"""Large images in tiles: bounded memory, and every cell of the density map counted once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ean_transfer.errors import ConfigError


@dataclass(frozen=True)
class Tiles:
    """How an image is cut into overlapping square tiles.

    Each tile is seen whole by the network, and the map between the middles of its overlaps is kept:
    next to a cut there are ``overlap / 2`` pixels of context. Where that reaches beyond the
    network's receptive field, the result is that of the whole image. An attention that pools over
    the image (SE, SGE, DIA ...) pools over the tile instead, so its result differs.

    Attributes:
        size: Side of a tile in pixels; an image no larger is not cut.
        overlap: Pixels that neighbouring tiles share, an even number.
    """

    size: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.size:
            raise ConfigError(
                f"tiles: expected 0 <= overlap < size, found size {self.size} and overlap "
                f"{self.overlap}"
            )

    @staticmethod
    def usual_overlap(size: int, divisor: int) -> int:
        """About a quarter of a tile, as :meth:`require_multiples_of` wants it."""
        return 2 * divisor * round(size / (8 * divisor))

    def require_multiples_of(self, divisor: int) -> None:
        """Tiles must begin where the network's own grid does.

        Args:
            divisor: The largest stride within the network, in pixels.

        Raises:
            ConfigError: The size is not a multiple of it, or half the overlap is not.
        """
        if self.size % divisor or self.overlap % (2 * divisor):
            raise ConfigError(
                f"tiles: expected a size that is a multiple of {divisor} pixels and an overlap "
                f"that is one of {2 * divisor}, found size {self.size} and overlap {self.overlap}"
            )


@dataclass(frozen=True)
class Window:
    """A tile along one axis, in pixels: what the network sees and what of its map is kept."""

    seen: slice
    kept: slice


def windows(size: int, tiles: Tiles) -> list[Window]:
    """The tiles along an axis; what they keep follows on without gap or overlap.

    Args:
        size: Of the image along the axis, in pixels.
        tiles: How to cut. All but the last two tiles overlap by exactly ``tiles.overlap``; the last
            one ends with the image and is as large as the others.
    """
    step = tiles.size - tiles.overlap
    last = max(0, size - tiles.size)
    starts = [*range(0, last, step), last]
    cuts = [0, *(start + tiles.overlap // 2 for start in starts[1:]), size]
    return [
        Window(slice(start, min(start + tiles.size, size)), slice(*kept))
        for start, kept in zip(starts, zip(cuts, cuts[1:], strict=False), strict=True)
    ]


def tiled(network: Callable[[Tensor], Tensor], inputs: Tensor, tiles: Tiles, stride: int) -> Tensor:
    """A network's maps of large images, tile by tile.

    Args:
        network: (N, 3, h, w) -> (N, C, h / stride, w / stride), for any h and w that are multiples
            of its strides.
        inputs: (N, 3, H, W).
        tiles: How to cut.
        stride: Pixels a cell of the network's output.

    Returns:
        (N, C, H / stride, W / stride).
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
