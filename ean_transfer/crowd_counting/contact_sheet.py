"""A contact sheet of a counting data set: thumbnails with their points, to check annotations."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ean_transfer.crowd_counting.datasets import CountingDataset, Pair
from ean_transfer.crowd_counting.datasets.names import Kind, open_unread
from ean_transfer.crowd_counting.points import Points, as_points, clamp_points
from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import Cell, draw_sheet, evenly_spread, in_rows, joined

TILE_SIZE = (240, 320)  # (H, W) in pixels that a thumbnail is fitted into
_SPACINGS = (10, 32)  # average pixels between neighbours from which dots are one pixel larger
_TILE = (52, 52, 52)
_MARK, _OUTLINE = (255, 225, 0), (0, 0, 0)


def contact_sheet(
    kind: Kind, data_root: str | os.PathLike[str], thumbnails: int = 16, **options: Any
) -> Picture:
    """Thumbnails of images spread evenly over the data set, with each point marked.

    A point is a yellow dot with a black outline, visible on dark and on light ground, and smaller
    in a crowd. Below each image stand its name and its count. A file that cannot be read leaves its
    place empty, and the caption says so. Only one image at a time is in memory.

    Args:
        kind: The data set, as for :func:`~ean_transfer.crowd_counting.folder_report.check_dataset`.
        data_root: Its folder.
        thumbnails: Number of images to show, at least 1; fewer where the data set has fewer.
        **options: The data set's own arguments.

    Returns:
        A sheet with ``ceil(sqrt(n))`` columns for n images.

    Raises:
        ConfigError: There is no such data set, or it has no such option.
        DataError: There is no image.
    """
    dataset = open_unread(kind, data_root, options)
    files = dataset.list_files()
    pairs = [*files.pairs, *(Pair(image, None) for image in files.images_without_annotation)]
    if not pairs:
        raise DataError(f"{data_root}: expected images to show, found none")
    places = evenly_spread(min(thumbnails, len(pairs)), len(pairs))
    cells = [_cell(dataset, pairs[place]) for place in places]
    return draw_sheet(in_rows(cells, math.ceil(math.sqrt(len(cells)))))


def _cell(dataset: CountingDataset, pair: Pair) -> Cell:
    height, width = TILE_SIZE
    tile = np.full((height, width, 3), _TILE, dtype=np.uint8)
    points, label = _read_points(dataset, pair.annotation)
    try:
        image = read_image(pair.image, dataset.exif)
    except DataError:
        label = "cannot decode the image"
    else:
        thumbnail = _thumbnail(image, points)
        top, left = (height - thumbnail.shape[0]) // 2, (width - thumbnail.shape[1]) // 2
        tile[top : top + thumbnail.shape[0], left : left + thumbnail.shape[1]] = thumbnail
    return Cell(tile, joined(pair.image.name, label))


def _read_points(dataset: CountingDataset, annotation: Path | None) -> tuple[Points, str]:
    """The finite points, and what the caption says of them."""
    none = np.zeros((0, 2), dtype=np.float32)
    if annotation is None:
        return none, "no annotation"
    try:
        points = as_points(dataset.read_points(annotation))
    except (ValueError, TypeError, OSError):
        return none, "cannot read the annotation"
    return points[np.isfinite(points).all(axis=1)], f"{len(points)} points"


def _thumbnail(image_bgr: Picture, points: Points) -> Picture:
    """The image fitted into a tile, in RGB, with its points."""
    image_size = image_bgr.shape[:2]
    thumbnail = np.ascontiguousarray(fit_picture(image_bgr, TILE_SIZE)[..., ::-1])
    height, width = thumbnail.shape[:2]
    scale = min(TILE_SIZE[0] / image_size[0], TILE_SIZE[1] / image_size[1])
    # A whole number is the centre of a pixel, in the image and in the thumbnail.
    centres = (clamp_points(points, image_size) + 0.5) * scale - 0.5
    spacing = math.sqrt(height * width / max(1, len(points)))
    radius = 1 + sum(spacing >= least for least in _SPACINGS)
    for color, size in ((_OUTLINE, radius + 1), (_MARK, radius)):
        for x, y in centres:
            place = (round(float(x)), round(float(y)))
            cv2.circle(thumbnail, place, size, color, cv2.FILLED, cv2.LINE_AA)
    return thumbnail
