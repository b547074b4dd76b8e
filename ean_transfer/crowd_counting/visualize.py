"""A density map to look at."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ean_transfer.crowd_counting.points import as_points

MIN_WIDTH = 320  # pixels; narrower images are enlarged, or a caption would not fit
CAPTION_HEIGHT = 28  # pixels


def draw_density(
    image_rgb: npt.NDArray[np.uint8],
    density: npt.ArrayLike,
    points: npt.ArrayLike | None = None,
    count: float | None = None,
    pred: float | None = None,
    *,
    vmax: float | None = None,
) -> npt.NDArray[np.uint8]:
    """The density as a heat map over its image, with the points and a caption.

    Args:
        image_rgb: (H, W, 3) uint8.
        density: (h, w), objects a cell, of the whole image at any stride. Not read for numbers.
        points: (N, 2) of (x, y) in pixels of the image, drawn as small white rings.
        count: True count for the caption.
        pred: Predicted count for the caption.
        vmax: Density shown as the hottest colour, the map's own maximum by default. Give maps that
            stand side by side the same one, or their colours cannot be compared.

    Returns:
        RGB uint8. Of the image's size, unless it is narrower than 320 pixels, where it is enlarged
        by a whole factor; with ``count`` or ``pred``, a strip of 28 pixels is added below.
    """
    factor = -(-MIN_WIDTH // image_rgb.shape[1])
    height, width = (factor * size for size in image_rgb.shape[:2])
    enlarged = cv2.resize(image_rgb, (width, height), interpolation=cv2.INTER_NEAREST)

    cells = np.asarray(density, dtype=np.float32)
    top = float(cells.max(initial=0.0)) if vmax is None else float(vmax)
    shown = np.clip(cells / max(top, 1e-12), 0.0, 1.0)
    # Only for the eye: resizing changes a map's sum, and no number is read from this one.
    shown = np.clip(cv2.resize(shown, (width, height), interpolation=cv2.INTER_LINEAR), 0.0, 1.0)
    heat = cv2.applyColorMap((255 * shown).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    opacity = 0.75 * np.sqrt(shown)[..., None]  # empty places show the image itself
    picture: npt.NDArray[np.uint8]
    picture = ((1 - opacity) * enlarged + opacity * heat).astype(np.uint8)

    for x, y in as_points([] if points is None else points):
        centre = (round(float((x + 0.5) * factor - 0.5)), round(float((y + 0.5) * factor - 0.5)))
        cv2.circle(picture, centre, 3, (0, 0, 0), 2, cv2.LINE_AA)
        cv2.circle(picture, centre, 3, (255, 255, 255), 1, cv2.LINE_AA)

    caption = []
    if count is not None:
        caption.append(f"true {count:g}")
    if pred is not None:
        caption.append(f"predicted {pred:.1f}")
    if caption:
        strip = np.zeros((CAPTION_HEIGHT, width, 3), dtype=np.uint8)
        font = cv2.FONT_HERSHEY_SIMPLEX
        place = (8, CAPTION_HEIGHT - 9)
        cv2.putText(strip, "   ".join(caption), place, font, 0.55, (255,) * 3, 1, cv2.LINE_AA)
        picture = np.vstack((picture, strip))
    return picture
