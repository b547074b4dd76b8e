"""Density maps of crowd counting over their images, with the points and both counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ean_transfer.visualization.picture import PLAIN_SIZE, Picture
from ean_transfer.visualization.text import TEXT_SIZE, load_font

MIN_WIDTH = 320  # pixels; narrower images are enlarged, or a caption would not fit
# Sizes in pictures up to PLAIN_SIZE, in pixels.
CAPTION_HEIGHT = 28
RING_RADIUS = 3
GAP = 4  # between pictures side by side
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def draw_density(
    image_rgb: Picture,
    density: npt.ArrayLike | None,
    points: npt.ArrayLike | None = None,
    count: float | None = None,
    pred: float | None = None,
    *,
    cell: tuple[float, float] | None = None,
    vmax: float | None = None,
    side_by_side: bool = False,
) -> Picture:
    """The density as a heat map over its image, with the points and a caption.

    Rings, lines and letters grow with the picture, so that they stay readable when a photograph of
    6000 pixels is shown on a screen of 1500.

    Args:
        image_rgb: The image.
        density: (h, w), objects per cell, of the whole image at any stride, or None for the image
            alone. No numbers are read from it; values that are not finite are shown as nothing.
        points: (N, 2) of (x, y) in pixels of the image, drawn as small white rings.
        count: True count, for the caption.
        pred: Predicted count, for the caption.
        cell: Height and width of a cell in pixels of the image. The last cells reach beyond the
            image where the network's stride does not divide its sides. By default the cells cover
            the image exactly.
        vmax: Density shown as the hottest colour, by default the map's own maximum. Maps that stand
            side by side need the same one, or their colours cannot be compared.
        side_by_side: Show the image with the points on the left and the heat map on the right,
            where neither hides the other, instead of both in one.

    Returns:
        A picture of the image's size. An image narrower than 320 pixels is enlarged by a whole
        factor; side by side, the picture is twice as wide, plus a gap. With ``count`` or ``pred``,
        a strip is added below: 28 pixels for pictures up to 800, more for larger ones.
    """
    factor = -(-MIN_WIDTH // image_rgb.shape[1])
    height, width = (factor * size for size in image_rgb.shape[:2])
    scale = max(1.0, max(height, width * (1 + side_by_side)) / PLAIN_SIZE)
    plain = image_rgb.repeat(factor, axis=0).repeat(factor, axis=1)
    enlarged = None if cell is None else (factor * cell[0], factor * cell[1])
    heat = plain if density is None else _with_heat(plain, density, enlarged, vmax)
    places = np.asarray([] if points is None else points, dtype=np.float32).reshape(-1, 2)
    places = (places + 0.5) * factor - 0.5
    if side_by_side:
        gap = np.full((height, round(GAP * scale), 3), 255, dtype=np.uint8)
        picture = np.hstack((_with_rings(plain, places, scale), gap, heat))
    else:
        picture = _with_rings(heat, places, scale)

    caption = []
    if count is not None:
        caption.append(f"true {count:g}")
    if pred is not None:
        caption.append(f"predicted {pred:.1f}")
    if caption:
        # No larger than the width has room for, or a slim picture would end in an empty strip.
        scale = min(scale, picture.shape[1] / MIN_WIDTH)
        picture = np.vstack((picture, _strip("   ".join(caption), picture.shape[1], scale)))
    return picture


def draw_regions(
    picture: Picture,
    regions: Mapping[str, Sequence[Sequence[tuple[float, float]]]],
    factor: float = 1.0,
) -> Picture:
    """A picture with the outlines of regions, each with its name at its first corner.

    Args:
        picture: The picture; returned as it is where there are no regions.
        regions: Name -> polygons, each a sequence of corners (x, y) in pixels of the image.
        factor: Size of the picture relative to the image.
    """
    if not regions:
        return picture
    picture = picture.copy()
    scale = max(1.0, max(picture.shape) / PLAIN_SIZE)
    font = load_font(round(TEXT_SIZE * scale))
    for polygons in regions.values():
        for corners in polygons:
            line = (np.array(corners) * factor).round().astype(np.int32)
            for colour, thickness in ((BLACK, 3), (WHITE, 1)):
                width = round(thickness * scale)
                cv2.polylines(picture, [line], True, colour, width, cv2.LINE_AA)
    named = Image.fromarray(picture)
    canvas = ImageDraw.Draw(named)
    for name, polygons in regions.items():
        x, y = polygons[0][0]
        # At the right and the lower edge as well the name stays within the picture.
        left = min(x * factor + 5 * scale, named.width - font.getlength(name) - 5 * scale)
        top = min(y * factor + 3 * scale, named.height - 1.5 * font.size)
        place = (max(0.0, left), max(0.0, top))
        canvas.text(place, name, fill=WHITE, font=font, stroke_width=2, stroke_fill=BLACK)
    return np.asarray(named, dtype=np.uint8)


def _with_heat(
    image: Picture,
    density: npt.ArrayLike,
    cell: tuple[float, float] | None,
    vmax: float | None,
) -> Picture:
    height, width = image.shape[:2]
    cells = np.nan_to_num(np.asarray(density, dtype=np.float32), nan=0, posinf=0, neginf=0)
    top = float(cells.max(initial=0.0)) if vmax is None else float(vmax)
    shown = np.clip(cells / max(top, 1e-12), 0.0, 1.0)
    size = (height, width)
    if cell is not None:
        size = (
            max(height, round(cells.shape[0] * cell[0])),
            max(width, round(cells.shape[1] * cell[1])),
        )
    # Resizing changes a map's sum, so this is for the eye only: no count is read from it.
    shown = cv2.resize(shown, size[::-1], interpolation=cv2.INTER_LINEAR)
    shown = np.ascontiguousarray(np.clip(shown[:height, :width], 0.0, 1.0))
    colours = cv2.applyColorMap((255 * shown).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    opacity = 0.75 * np.sqrt(shown)  # empty places show the image itself
    blended = cv2.blendLinear(image, np.ascontiguousarray(colours), 1 - opacity, opacity)
    return np.asarray(blended, dtype=np.uint8)


def _with_rings(image: Picture, points: npt.NDArray[np.float32], scale: float) -> Picture:
    picture = image.copy()
    height, width = image.shape[:2]
    spacing = math.sqrt(height * width / max(1, len(points)))
    # No wider than the points are apart, or the rings of a crowd would cover it.
    radius = max(RING_RADIUS, round(min(RING_RADIUS * scale, spacing / 4)))
    thickness = max(1, round(radius / 4))
    for x, y in points:
        centre = (round(float(x)), round(float(y)))
        cv2.circle(picture, centre, radius, BLACK, thickness + 1, cv2.LINE_AA)
        cv2.circle(picture, centre, radius, WHITE, thickness, cv2.LINE_AA)
    return picture


def _strip(text: str, width: int, scale: float) -> Picture:
    height = round(CAPTION_HEIGHT * scale)
    strip = np.zeros((height, width, 3), dtype=np.uint8)
    font, size, thickness = cv2.FONT_HERSHEY_SIMPLEX, 0.55 * scale, round(scale)
    margin = round(8 * scale)
    (text_width, _), _ = cv2.getTextSize(text, font, size, thickness)
    size *= min(1.0, (width - 2 * margin) / text_width)
    place = (margin, height - round(9 * scale))
    cv2.putText(strip, text, place, font, size, WHITE, thickness, cv2.LINE_AA)
    return strip
