"""Areas of objects, painted into label images: polygons, bitmaps, and COCO's run lengths.

Coordinates are continuous, as annotation tools have them: the pixel i covers [i, i + 1). A pixel
belongs to an area if its centre does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint8]


class Area(ABC):
    """Base of the areas."""

    @abstractmethod
    def paint(self, labels: Labels, label: int) -> int:
        """Write a label (of 0-255) into the area's pixels of a label image (H, W).

        Returns:
            The number of these pixels.
        """


@dataclass(frozen=True)
class Polygons(Area):
    """Polygons that cover an area together.

    Attributes:
        rings: (N, 2) corners (x, y) of each.
    """

    rings: tuple[npt.NDArray[np.float64], ...]

    def paint(self, labels: Labels, label: int) -> int:
        covered = 0
        for ring in self.rings:
            part, inside = _inside(ring, labels)
            part[inside] = label
            covered += int(inside.sum())
        return covered


@dataclass(frozen=True)
class Bitmap(Area):
    """An area given pixel by pixel.

    Attributes:
        left: Column of its first pixels in the image.
        top: Row of its first pixels in the image.
        decode: Makes its pixels, (h, w) booleans; only when they are needed.
    """

    left: int
    top: int
    decode: Callable[[], Pixels]

    def paint(self, labels: Labels, label: int) -> int:
        pixels = self.decode()[max(0, -self.top) :, max(0, -self.left) :]
        part = labels[max(0, self.top) :, max(0, self.left) :][: pixels.shape[0], : pixels.shape[1]]
        inside = pixels[: part.shape[0], : part.shape[1]]
        part[inside] = label
        return int(inside.sum())


def _inside(ring: npt.NDArray[np.float64], labels: Labels) -> tuple[Labels, Pixels]:
    """The part of a label image around a polygon, and which of its pixels are in the polygon.

    Where edges cross each other, what they enclose twice is outside (the even-odd rule).
    """
    height, width = labels.shape
    limits = np.array((width, height))
    left, top = np.clip(np.floor(ring.min(axis=0)), 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(ring.max(axis=0)), 0, limits).astype(int)
    crossings = np.zeros((bottom - top, right - left + 1), dtype=bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        # Rows whose centres the edge passes, and the first column whose centre is right of it.
        first, last = ceil(min(y0, y1) - 0.5), ceil(max(y0, y1) - 0.5)
        rows = np.arange(max(first, top), min(last, bottom))
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            columns = np.clip(np.ceil(x - 0.5), left, right).astype(int)
            crossings[rows - top, columns - left] ^= True
    inside = np.logical_xor.accumulate(crossings[:, :-1], axis=1)
    return labels[top:bottom, left:right], inside


def pixels_of_runs(runs: Sequence[int], shape: tuple[int, int], order: str = "F") -> Pixels:
    """Decode run lengths, which are alternately outside and inside the area, outside first.

    Args:
        runs: The run lengths.
        shape: (H, W) of the pixels.
        order: Order of the pixels: ``"F"``, column by column, as in COCO; ``"C"``, row by row.

    Raises:
        ValueError: The lengths do not add up to the number of pixels.
    """
    inside = np.arange(len(runs)) % 2 == 1
    lengths = np.asarray(runs, dtype=np.int64)
    if lengths.sum() != shape[0] * shape[1] or (lengths < 0).any():
        raise ValueError(
            f"run lengths of {lengths.sum()} pixels for {shape[1]} x {shape[0]} pixels"
        )
    return np.repeat(inside, lengths).reshape(shape, order="F" if order == "F" else "C")


def runs_of_text(text: str) -> list[int]:
    """Decode the text of COCO's compressed run lengths.

    Each character holds five bits, lowest first, and whether more follow; the last one's fifth bit
    is the sign. From the fourth length on, the difference to the last but one is stored.

    Raises:
        ValueError: A character is not of the format.
    """
    runs: list[int] = []
    value = shift = 0
    for code in text.encode():
        bits = code - 48
        if not 0 <= bits < 64:
            raise ValueError(f"run lengths with the character {chr(code)!r}")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            value |= -(bits >> 4) << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
