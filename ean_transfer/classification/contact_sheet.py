"""A contact sheet of a classification folder: thumbnails with their classes, to check labels."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from ean_transfer.classification.folder_report import ClassificationFolder, list_files
from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import Cell, draw_sheet, evenly_spread, in_rows, joined

SIDE = 160  # pixels: the longer side of a thumbnail; enough to tell a class


def contact_sheet(
    data_root: str | os.PathLike[str], thumbnails: int = 16, **options: Any
) -> Picture:
    """Thumbnails of images spread evenly over the classes, with the class and the file's name.

    Args:
        data_root: The folder.
        thumbnails: Number of images to show, at least 1; fewer where there are fewer.
        **options: See :class:`ClassificationFolder`.

    Returns:
        A sheet with ``ceil(sqrt(n))`` columns for n images.

    Raises:
        ConfigError: An option is unknown or of a wrong value.
        DataError: The folder is missing, or has no class folders with images.
    """
    root, files = list_files(data_root, ClassificationFolder(**options))
    images = [(name, file) for name, its_files in files.by_class.items() for file in its_files]
    cells = []
    for place in evenly_spread(min(thumbnails, len(images)), len(images)):
        name, file = images[place]
        try:
            picture = np.ascontiguousarray(read_image(root / file)[..., ::-1])
        except DataError:
            picture, name = np.zeros((SIDE, SIDE, 3), np.uint8), "cannot decode the image"
        cells.append(Cell(fit_picture(picture, SIDE), joined(name, os.path.basename(file))))
    return draw_sheet(in_rows(cells, math.ceil(math.sqrt(len(cells)))))
