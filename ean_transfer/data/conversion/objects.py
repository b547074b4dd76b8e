"""What is annotated in an image: objects, each with a place and perhaps an area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, sin
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ean_transfer.data.conversion.areas import Area, Polygons


class Marked(NamedTuple):
    """An annotated object.

    Attributes:
        label: Name of its class; ``""`` if it has none.
        at: The point that stands for it, (x, y) in pixels: itself, or the centre of its box;
            ``None`` for an area of several objects, such as a crowd.
        area: What it covers; ``None`` for points and lines.
    """

    label: str
    at: tuple[float, float] | None
    area: Area | None = None


@dataclass
class AnnotatedImage:
    """The annotations of an image.

    Attributes:
        image: The image as the annotations name it: a path, a file name, or a name without suffix.
        where: The annotation file, and if it has several images, which of them; for messages.
        size: (H, W) of the image that was annotated, if the annotations say it.
        objects: Its objects.
    """

    image: str
    where: str
    size: tuple[int, int] | None = None
    objects: list[Marked] = field(default_factory=list)


def point(label: str, x: float, y: float) -> Marked:
    """An object that is marked by a point."""
    return Marked(label, (float(x), float(y)))


def box(label: str, left: float, top: float, right: float, bottom: float) -> Marked:
    """An object that is marked by a box; a pixel i covers [i, i + 1)."""
    return polygon(label, [(left, top), (right, top), (right, bottom), (left, bottom)])


def polygon(label: str, *rings: npt.ArrayLike, has_area: bool = True) -> Marked:
    """An object that is outlined by polygons, whose parts it covers together.

    Args:
        label: Name of its class.
        *rings: (N, 2) corners (x, y) of each polygon; N is at least 1.
        has_area: Whether it is an area; otherwise a line.

    Raises:
        ValueError: A polygon is not N x 2 finite numbers.
    """
    arrays = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in rings]
    corners = np.concatenate(arrays)
    if not (len(corners) and np.isfinite(corners).all()):
        raise ValueError("a polygon without finite corners")
    return Marked(label, box_centre(corners), Polygons(tuple(arrays)) if has_area else None)


def ellipse(label: str, x: float, y: float, radius_x: float, radius_y: float) -> Marked:
    """An object that is marked by an ellipse with upright axes."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    ring = np.stack((x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)), axis=1)
    return polygon(label, ring)._replace(at=(float(x), float(y)))


def turned(marked: Marked, angle: float) -> Marked:
    """A box or an ellipse turned clockwise around its centre.

    Args:
        marked: The object.
        angle: The angle in radians.
    """
    if not angle or marked.at is None:
        return marked
    turn = np.array(((cos(angle), sin(angle)), (-sin(angle), cos(angle))))
    rings = getattr(marked.area, "rings", ())
    centre = np.array(marked.at)
    return polygon(marked.label, *((ring - centre) @ turn + centre for ring in rings))


def box_centre(corners: npt.NDArray[np.float64] | Sequence[Sequence[float]]) -> tuple[float, float]:
    """The centre (x, y) of the box around some points (N, 2)."""
    array = np.asarray(corners, dtype=np.float64)
    x, y = (array.min(axis=0) + array.max(axis=0)) / 2
    return float(x), float(y)
