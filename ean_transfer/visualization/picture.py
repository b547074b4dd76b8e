"""What a picture is, how one is brought to a size, and how it is written."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Picture: TypeAlias = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB where nothing else is said."""

PLAIN_SIZE = 800
"""Screens shrink pictures with a longer side than this, so lines and letters are drawn larger."""


def fit_picture(picture: Picture, size: int | tuple[int, int], *, enlarge: bool = True) -> Picture:
    """Scale a picture so that it just fits into a size; its proportions stay.

    Args:
        picture: (H, W, 3).
        size: Height and width of the box that it fits into, or the longer side, in pixels.
        enlarge: Whether a smaller picture is enlarged, or returned as it is.
    """
    height, width = picture.shape[:2]
    box_height, box_width = (size, size) if isinstance(size, int) else size
    factor = min(box_height / height, box_width / width)
    if factor >= 1 and not enlarge:
        return picture
    new_size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Pixels of a much smaller picture stay squares; below twice the size, squares of two sizes
    # would stand side by side, so there it is interpolated.
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR if factor < 2 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, new_size, interpolation=how), dtype=np.uint8)


def write_picture(file: Path, picture: Picture) -> None:
    """Write an RGB picture (H, W, 3), in the format that the file's suffix says.

    Raises:
        OSError: The file cannot be written.
    """
    # Not imwrite: it ends the process at a name that is not UTF-8, and Windows gets other letters.
    _, encoded = cv2.imencode(file.suffix, np.ascontiguousarray(picture[..., ::-1]))
    file.write_bytes(encoded.tobytes())
