"""Label maps over images, and what their colours mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture = npt.NDArray[np.uint8]  # (H, W, 3), RGB
Palette = Sequence[Sequence[int]]  # RGB of each class

PLAIN_SIZE = 800  # pixels; longer pictures are shown shrunk, so their letters are larger
TEXT_SIZE = 16  # pixels, of pictures up to PLAIN_SIZE
LARGEST_MADE = 1600  # pixels; an enlargement stops there
TEXT, BACKGROUND, OUTLINE = (235, 235, 235), (20, 20, 20), (140, 140, 140)


def draw_segmentation(
    image: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.integer],
    palette: Palette,
    opacity: float = 0.55,
    smallest: int = 192,
) -> Picture:
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
    height, width = labels.shape
    plain = cv2.resize(image, (width, height))
    known = (labels >= 0) & (labels < len(palette))
    colours = np.asarray(palette, dtype=np.uint8)[np.where(known, labels, 0)]
    blended = cv2.addWeighted(plain, 1 - opacity, colours, opacity, 0)
    picture = np.where(known[..., None], blended, plain).astype(np.uint8)
    factor = min(round(smallest / min(labels.shape)), LARGEST_MADE // max(labels.shape))
    return picture if factor < 2 else picture.repeat(factor, axis=0).repeat(factor, axis=1)


def draw_prediction(
    image: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.integer],
    classes: Sequence[str],
    palette: Palette,
) -> Picture:
    """An image coloured by its label map, above a legend of the classes in it.

    Args:
        image: See :func:`draw_segmentation`.
        labels: (H, W) class indices.
        classes: The classes' names.
        palette: RGB of each class.

    Returns:
        RGB uint8, as wide as :func:`draw_segmentation` gives it. The legend's letters grow with the
        picture, since a large one is shown shrunk.
    """
    picture = draw_segmentation(image, labels, palette)
    present = classes_in(labels, len(classes))
    # By the longer side, but no larger than the shorter one has room for.
    scale = max(1.0, min(max(picture.shape) / PLAIN_SIZE, min(picture.shape[:2]) / 300))
    legend = draw_legend(
        [classes[index] for index in present],
        [palette[index] for index in present],
        picture.shape[1],
        round(TEXT_SIZE * scale),
    )
    return np.vstack((picture, legend))


def classes_in(labels: npt.NDArray[np.integer], number: int) -> list[int]:
    """Which of so many classes a label map holds, in order."""
    return [index for index in np.unique(labels).tolist() if 0 <= index < number]


def draw_legend(
    names: Sequence[str], colours: Palette, width: int, text_size: int = TEXT_SIZE
) -> Picture:
    """Coloured squares with names, in columns.

    Args:
        names: What each colour means.
        colours: RGB of each.
        width: Of the legend, in pixels.
        text_size: Height of the letters in pixels; smaller if a name would not fit.

    Returns:
        RGB uint8, of the width and as high as needed: nothing for no names.
    """
    entry_width = _entry_width(names, text_size)
    if entry_width > width:
        text_size = max(8, int(text_size * width / entry_width))
        entry_width = _entry_width(names, text_size)
    columns = max(1, width // entry_width)
    rows = math.ceil(len(names) / columns)
    entry_height = round(1.6 * text_size)
    margin = entry_height // 4 if names else 0
    legend = Image.new("RGB", (width, rows * entry_height + 2 * margin), BACKGROUND)
    canvas = ImageDraw.Draw(legend)
    for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
        left = place % columns * entry_width + text_size // 2
        middle = margin + place // columns * entry_height + entry_height // 2
        square = (left, middle - text_size // 2, left + text_size, middle + text_size // 2)
        canvas.rectangle(square, fill=tuple(colour), outline=OUTLINE)
        start = (left + round(1.5 * text_size), middle)
        canvas.text(start, name, fill=TEXT, font=_font(text_size), anchor="lm")
    return np.asarray(legend, dtype=np.uint8)


def _entry_width(names: Sequence[str], text_size: int) -> int:
    """Of a column: margin, square, gap, the longest name, margin."""
    longest = max((_font(text_size).getlength(name) for name in names), default=0.0)
    return math.ceil(longest + 2.75 * text_size)


def draw_text(text: str, width: int, height: int, text_size: int = TEXT_SIZE) -> Picture:
    """A line of text on a strip; a long one loses its middle."""
    font = _font(text_size)
    shown, kept = text, len(text)
    while kept > 2 and font.getlength(shown) > width:
        kept -= 1
        shown = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
    strip = Image.new("RGB", (width, height), BACKGROUND)
    ImageDraw.Draw(strip).text((0, height // 2), shown, fill=TEXT, font=font, anchor="lm")
    return np.asarray(strip, dtype=np.uint8)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # by its size, Pillow gives no other
    return font
