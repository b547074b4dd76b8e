"""A contact sheet of a segmentation folder: images coloured by their labels, to check these."""

from __future__ import annotations

import colorsys
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ean_transfer.data.folder_report import without_path
from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image, read_labels
from ean_transfer.segmentation.folder_report import SegmentationFolder, list_files
from ean_transfer.segmentation.loading import IGNORE, label_table
from ean_transfer.visualization.labels import classes_in, draw_class_legend, draw_segmentation
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import (
    SIDE,
    Cell,
    draw_sheet,
    evenly_spread,
    in_rows,
    joined,
)


def contact_sheet(
    data_root: str | os.PathLike[str], thumbnails: int = 16, **options: Any
) -> Picture:
    """Thumbnails of images spread evenly over the folder, coloured by their labels.

    Args:
        data_root: The folder.
        thumbnails: Number of images to show, at least 1; fewer where there are fewer.
        **options: See :class:`SegmentationFolder`.

    Returns:
        A sheet with ``ceil(sqrt(n))`` columns for n images, and the classes' colours below.

    Raises:
        ConfigError: An option is unknown or of a wrong value.
        DataError: A folder is missing, or no image has a label file.
    """
    settings = SegmentationFolder(**options)
    _, files = list_files(data_root, settings)
    if not files.pairs:
        raise DataError(f"{data_root}: expected images with labels to show, found none")
    number = settings.num_classes or IGNORE
    reduced = settings.reduce_zero_label
    table = label_table(number, reduced, {settings.ignore - reduced: IGNORE})
    palette = [label_colour(label) for label in range(number)]
    present: set[int] = set()
    cells = []
    for place in evenly_spread(min(thumbnails, len(files.pairs)), len(files.pairs)):
        cell, classes = _cell(*files.pairs[place], table, palette)
        cells.append(cell)
        present.update(classes)
    sheet = draw_sheet(in_rows(cells, math.ceil(math.sqrt(len(cells)))))
    names = [str(label) for label in range(number)]
    return np.vstack((sheet, draw_class_legend(present, names, palette, sheet.shape[1])))


def _cell(
    image: Path, label: Path, table: npt.NDArray[np.int16], palette: Sequence[Sequence[int]]
) -> tuple[Cell, list[int]]:
    try:
        pixels, values = read_image(image), read_labels(label)
    except DataError as error:
        empty = np.zeros((SIDE * 3 // 4, SIDE, 3), np.uint8)
        return Cell(empty, joined(image.name, without_path(error, image))), []
    labels = np.where((values >= 0) & (values <= IGNORE), table[values.clip(0, IGNORE)], -1)
    drawn = draw_segmentation(np.ascontiguousarray(pixels[..., ::-1]), labels, palette)
    classes = classes_in(labels, len(palette))
    return Cell(fit_picture(drawn, SIDE), joined(image.name, *classes)), classes


def label_colour(label: int) -> tuple[int, int, int]:
    """A colour that differs from those of the labels near it."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618 % 1, 1 - 0.4 * (label % 2), 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
