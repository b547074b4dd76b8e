"""Points that nearly repeat another, as where an object was clicked twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ean_transfer.crowd_counting.points import Points

_LEAST_DISTANCE = 1.0  # pixels between two objects; neighbouring pixels of a dot image are that far


@dataclass(frozen=True)
class ClosePoints:
    """Points of an image that lie less than a pixel from an earlier one, but not on it.

    Attributes:
        points: Number of these points.
        nearest: Smallest distance of two of them, in pixels.
        farthest: Largest distance of a point from the earlier one nearest to it, in pixels.
    """

    points: int
    nearest: float
    farthest: float


def close_points(points: Points) -> ClosePoints | None:
    """The points less than a pixel from another one, without exact copies; ``None`` if none is.

    Args:
        points: Finite points, (N, 2).
    """
    different = np.unique(points, axis=0)
    if len(different) < 2:
        return None
    pairs = KDTree(different).query_pairs(_LEAST_DISTANCE, output_type="ndarray")
    distances = np.linalg.norm(different[pairs[:, 0]] - different[pairs[:, 1]], axis=1)
    pairs, distances = pairs[distances < _LEAST_DISTANCE], distances[distances < _LEAST_DISTANCE]
    if not len(pairs):
        return None
    later = np.unique(pairs[:, 1])
    to_nearest = np.full(len(different), np.inf)
    np.minimum.at(to_nearest, pairs[:, 1], distances)
    return ClosePoints(len(later), float(distances.min()), float(to_nearest[later].max()))
