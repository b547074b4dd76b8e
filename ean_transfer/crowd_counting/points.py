"""What a point is and when it is in the image: one convention for this whole package.

A point is ``(x, y)`` in pixels, and a whole number is the *centre* of a pixel, as in albumentations
(whose flip is ``x -> W - 1 - x``) and as in a dot image (the dot's column and row). The image
therefore spans ``[-0.5, W - 0.5]``, and the pixel ``i`` covers ``[i - 0.5, i + 0.5)``.

Annotations are accepted in ``[0, W] x [0, H]``: tools that count pixels from 1 write ``x = W`` for
the last column, and such a point belongs to the image.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]


def as_points(points: npt.ArrayLike) -> Points:
    """Points as a float32 array (N, 2); anything empty is zero points.

    Raises:
        ValueError, TypeError: They are not N x 2 numbers.
    """
    array = np.asarray(points, dtype=np.float32)
    if array.size == 0:
        return np.zeros((0, 2), dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"expected points as N x 2 (x, y), found an array of shape {array.shape}")
    return array


def check_points(points: npt.ArrayLike, image_size: tuple[int, int]) -> Points:
    """The points as float32 (N, 2), each of them in the image.

    Args:
        points: (N, 2) of (x, y) in pixels.
        image_size: (H, W) in pixels.

    Raises:
        ValueError, TypeError: They are not N x 2 numbers.
        ValueError: A point is NaN or infinite, or outside ``[0, W] x [0, H]``.
    """
    array = as_points(points)
    height, width = image_size
    inside = ((array >= 0) & (array <= (width, height))).all(axis=1)  # False for NaN
    if not inside.all():
        row = int(np.argmin(inside))
        x, y = array[row]
        raise ValueError(
            f"expected finite points (x, y) within the image of {width} x {height} pixels, found "
            f"({x:g}, {y:g}) in point {row} ({int((~inside).sum())} of {len(array)} outside)"
        )
    return array


def clamp_points(points: Points, image_size: tuple[int, int]) -> Points:
    """Move points into the range of pixel centres, ``[0, W - 1] x [0, H - 1]``; none is lost.

    Needed before albumentations: it raises at ``x = W``, and its flip would send a point beyond the
    last pixel's centre to a negative coordinate, where it is dropped.
    """
    height, width = image_size
    return np.clip(points, 0, np.array((width - 1, height - 1), dtype=np.float32))


def are_inside(points: Points, image_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Whether each point's pixel is in the image (H, W): booleans (N,).

    The intervals are half open, so that crops which tile an image share no point and lose none.
    """
    height, width = image_size
    return np.all((points >= -0.5) & (points < (width - 0.5, height - 0.5)), axis=1)
