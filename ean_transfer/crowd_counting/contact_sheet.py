"""A sheet of a data set's images with their points, to see at a glance what was annotated."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from ean_transfer.crowd_counting.datasets import CountingDataset, Pair
from ean_transfer.crowd_counting.datasets.names import Kind, open_unread
from ean_transfer.crowd_counting.points import Points, as_points, clamp_points
from ean_transfer.errors import DataError

Picture: TypeAlias = npt.NDArray[np.uint8]  # (H, W, 3), RGB

TILE_SIZE = (240, 320)  # (H, W) in pixels that a thumbnail fits in
CAPTION_HEIGHT = 24  # pixels below a thumbnail
GAP = 8  # pixels around each
_SPACINGS = (10, 32)  # pixels between neighbours, on average, from which dots are larger
_BACKGROUND, _TILE, _TEXT = (20, 20, 20), (52, 52, 52), (235, 235, 235)
_MARK, _OUTLINE = (255, 225, 0), (0, 0, 0)


def contact_sheet(
    kind: Kind, data_root: str | os.PathLike[str], thumbnails: int = 16, **options: Any
) -> Picture:
    """Thumbnails of images spread evenly over the data set, each point marked.

    A point is a yellow dot with a black outline, which shows on dark and on light, and smaller in a
    crowd. Under each image stand its name and its count. A file that cannot be read leaves its
    place empty and says so. One image at a time is in memory.

    Args:
        kind: The data set, as for :func:`~ean_transfer.crowd_counting.folder_report.check_dataset`.
        data_root: Its folder.
        thumbnails: At most this many.
        **options: The data set's own arguments.

    Returns:
        RGB uint8 of ``rows * (240 + 24 + 8) + 8`` by ``columns * (320 + 8) + 8`` pixels, with
        ``columns = ceil(sqrt(n))`` for n images shown.

    Raises:
        ConfigError: as for ``check_dataset``.
        DataError: there is no image.
        ValueError: ``thumbnails`` is not positive.
    """
    if thumbnails < 1:
        raise ValueError(f"expected a positive number of thumbnails, found {thumbnails}")
    dataset = open_unread(kind, data_root, options)
    files = dataset.list_files()
    pairs = [*files.pairs, *(Pair(image, None) for image in files.images_without_annotation)]
    if not pairs:
        raise DataError(f"{data_root}: expected images to show, found none")
    places = np.linspace(0, len(pairs) - 1, min(thumbnails, len(pairs))).round().astype(int)

    columns = math.ceil(math.sqrt(len(places)))
    rows = math.ceil(len(places) / columns)
    height, width = TILE_SIZE[0] + CAPTION_HEIGHT + GAP, TILE_SIZE[1] + GAP
    sheet = np.full((rows * height + GAP, columns * width + GAP, 3), _BACKGROUND, dtype=np.uint8)
    for position, place in enumerate(places):
        top = GAP + position // columns * height
        left = GAP + position % columns * width
        sheet[top : top + height - GAP, left : left + width - GAP] = _tile(dataset, pairs[place])
    return sheet


def _tile(dataset: CountingDataset, pair: Pair) -> Picture:
    height, width = TILE_SIZE
    tile = np.full((height + CAPTION_HEIGHT, width, 3), _TILE, dtype=np.uint8)
    points, label = _read_points(dataset, pair.annotation)
    image = cv2.imread(str(pair.image), cv2.IMREAD_COLOR)
    if image is None:
        label = "cannot decode the image"
    else:
        thumbnail = _thumbnail(image, points)
        top, left = (height - thumbnail.shape[0]) // 2, (width - thumbnail.shape[1]) // 2
        tile[top : top + thumbnail.shape[0], left : left + thumbnail.shape[1]] = thumbnail
    _write(tile, pair.image.name, label)
    return tile


def _read_points(dataset: CountingDataset, annotation: Path | None) -> tuple[Points, str]:
    """The finite points, and what to say of them."""
    none = np.zeros((0, 2), dtype=np.float32)
    if annotation is None:
        return none, "no annotation"
    try:
        points = as_points(dataset.read_points(annotation))
    except (ValueError, OSError):
        return none, "cannot read the annotation"
    return points[np.isfinite(points).all(axis=1)], str(len(points))


def _thumbnail(image_bgr: npt.NDArray[Any], points: Points) -> Picture:
    """The image fitted into a tile, RGB, with its points."""
    image_size = image_bgr.shape[:2]
    scale = min(TILE_SIZE[0] / image_size[0], TILE_SIZE[1] / image_size[1])
    height, width = (max(1, round(scale * side)) for side in image_size)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    resized = cv2.resize(image_bgr, (width, height), interpolation=how)
    thumbnail = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB).astype(np.uint8)
    # A whole number is the centre of a pixel, in the image and in the thumbnail.
    centres = (clamp_points(points, image_size) + 0.5) * scale - 0.5
    spacing = math.sqrt(height * width / max(1, len(points)))
    radius = 1 + sum(spacing >= least for least in _SPACINGS)
    for color, size in ((_OUTLINE, radius + 1), (_MARK, radius)):
        for x, y in centres:
            place = (round(float(x)), round(float(y)))
            cv2.circle(thumbnail, place, size, color, cv2.FILLED, cv2.LINE_AA)
    return thumbnail


def _write(tile: Picture, name: str, label: str) -> None:
    """Name on the left, label on the right; a long name loses its middle."""
    font, size, margin = cv2.FONT_HERSHEY_SIMPLEX, 0.5, 2
    baseline = TILE_SIZE[0] + CAPTION_HEIGHT - 8

    def width(text: str) -> int:
        return int(cv2.getTextSize(text, font, size, 1)[0][0])

    name = name.encode("ascii", "replace").decode("ascii")  # the font has no other letters
    label_left = TILE_SIZE[1] - margin - width(label)
    shown, kept = name, len(name)
    while kept > 2 and width(shown) > label_left - 3 * margin:
        kept -= 1
        shown = f"{name[: kept // 2]}...{name[len(name) - (kept - kept // 2) :]}"
    cv2.putText(tile, shown, (margin, baseline), font, size, _TEXT, 1, cv2.LINE_AA)
    cv2.putText(tile, label, (label_left, baseline), font, size, _MARK, 1, cv2.LINE_AA)
