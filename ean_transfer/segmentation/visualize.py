"""Label maps over images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def draw_segmentation(
    image: np.ndarray,
    labels: np.ndarray,
    palette: Sequence[Sequence[int]],
    opacity: float = 0.55,
    smallest: int = 192,
) -> np.ndarray:
    """Colour an image by its label map.

    Args:
        image: (h, w, 3) uint8 RGB, scaled to the labels' size.
        labels: (H, W) class indices; those outside the palette (ignored pixels) stay uncoloured.
        palette: RGB of each class.
        opacity: Of the colours, in [0, 1].
        smallest: Smaller pictures are enlarged by a whole factor to about this side, in pixels.

    Returns:
        uint8 RGB, of the labels' size or a multiple of it.
    """
    colours = np.asarray(palette, dtype=np.float32)
    known = (labels >= 0) & (labels < len(colours))
    height, width = labels.shape
    picture = cv2.resize(image, (width, height)).astype(np.float32)
    picture[known] = (1 - opacity) * picture[known] + opacity * colours[labels[known]]
    factor = max(1, round(smallest / min(labels.shape)))
    return picture.round().astype(np.uint8).repeat(factor, axis=0).repeat(factor, axis=1)
