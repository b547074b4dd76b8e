"""Label maps over their images, and the legend that says what the colours mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ean_transfer.visualization.picture import PLAIN_SIZE, Picture
from ean_transfer.visualization.text import BACKGROUND, TEXT, TEXT_SIZE, load_font

Palette = Sequence[Sequence[int]]  # RGB of each class

MAX_ENLARGED = 1600  # pixels; small pictures are not enlarged beyond this side
OUTLINE = (140, 140, 140)


def draw_segmentation(
    image: Picture,
    labels: npt.NDArray[np.integer],
    palette: Palette,
    opacity: float = 0.55,
    min_side: int = 192,
) -> Picture:
    """Colour an image by its label map.

    Args:
        image: The image, scaled to the labels' size if it has another.
        labels: (H, W) class indices; those outside the palette (ignored pixels) stay uncoloured.
        palette: RGB of each class.
        opacity: Opacity of the colours, in [0, 1].
        min_side: Smaller pictures are enlarged by a whole factor to about this side, in pixels.

    Returns:
        A picture of the labels' size, or of a multiple of it.
    """
    height, width = labels.shape
    plain = cv2.resize(image, (width, height))
    known = (labels >= 0) & (labels < len(palette))
    colours = np.asarray(palette, dtype=np.uint8)[np.where(known, labels, 0)]
    blended = cv2.addWeighted(plain, 1 - opacity, colours, opacity, 0)
    picture = np.where(known[..., None], blended, plain).astype(np.uint8)
    factor = min(round(min_side / min(labels.shape)), MAX_ENLARGED // max(labels.shape))
    return picture if factor < 2 else picture.repeat(factor, axis=0).repeat(factor, axis=1)


def draw_prediction(
    image: Picture,
    labels: npt.NDArray[np.integer],
    classes: Sequence[str],
    palette: Palette,
) -> Picture:
    """An image coloured by its label map, above a legend of the classes in it.

    The letters of the legend grow with the picture, since screens show a large one shrunk.

    Args:
        image: The image.
        labels: (H, W) class indices.
        classes: Name of each class.
        palette: RGB of each class.

    Returns:
        A picture as wide as that of :func:`draw_segmentation`.
    """
    picture = draw_segmentation(image, labels, palette)
    # By the longer side, but no larger than the shorter one has room for.
    scale = max(1.0, min(max(picture.shape) / PLAIN_SIZE, min(picture.shape[:2]) / 300))
    present = classes_in(labels, len(classes))
    text_size = round(TEXT_SIZE * scale)
    return np.vstack(
        (picture, draw_class_legend(present, classes, palette, picture.shape[1], text_size))
    )


def classes_in(labels: npt.NDArray[np.integer], num_classes: int) -> list[int]:
    """Indices of the classes that occur in a label map, in order; ignored labels left out."""
    return [index for index in np.unique(labels).tolist() if 0 <= index < num_classes]


def draw_class_legend(
    present: Iterable[int],
    classes: Sequence[str],
    palette: Palette,
    width: int,
    text_size: int = TEXT_SIZE,
) -> Picture:
    """The legend of some of a data set's classes.

    Args:
        present: Indices of the classes to name.
        classes: Names of all classes.
        palette: RGB of all classes.
        width: Width of the legend, in pixels.
        text_size: See :func:`draw_legend`.
    """
    chosen = sorted(present)
    names, colours = [classes[i] for i in chosen], [palette[i] for i in chosen]
    return draw_legend(names, colours, width, text_size)


def draw_legend(
    names: Sequence[str], colours: Palette, width: int, text_size: int = TEXT_SIZE
) -> Picture:
    """Coloured squares with names, in columns.

    Args:
        names: Meaning of each colour.
        colours: RGB of each square.
        width: Width of the legend, in pixels.
        text_size: Height of the letters, in pixels; smaller if a name would not fit.

    Returns:
        A picture of the given width, as high as needed; 0 pixels high without names.
    """
    column_width = _column_width(names, text_size)
    if column_width > width:
        text_size = max(8, int(text_size * width / column_width))
        column_width = _column_width(names, text_size)
    columns = max(1, width // column_width)
    rows = math.ceil(len(names) / columns)
    row_height = round(1.6 * text_size)
    margin = row_height // 4 if names else 0
    legend = Image.new("RGB", (width, rows * row_height + 2 * margin), BACKGROUND)
    canvas = ImageDraw.Draw(legend)
    for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
        left = place % columns * column_width + text_size // 2
        middle = margin + place // columns * row_height + row_height // 2
        square = (left, middle - text_size // 2, left + text_size, middle + text_size // 2)
        canvas.rectangle(square, fill=tuple(colour), outline=OUTLINE)
        start = (left + round(1.5 * text_size), middle)
        canvas.text(start, name, fill=TEXT, font=load_font(text_size), anchor="lm")
    return np.asarray(legend, dtype=np.uint8)


def _column_width(names: Sequence[str], text_size: int) -> int:
    """Width of a legend's column: margin, square, gap, the longest name, margin."""
    longest = max((load_font(text_size).getlength(name) for name in names), default=0.0)
    return math.ceil(longest + 2.75 * text_size)
