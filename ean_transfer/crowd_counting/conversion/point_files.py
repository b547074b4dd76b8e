"""Formats that hold points alone: CSV, JSON, ``.npy``, ``.mat`` and dot images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ean_transfer.crowd_counting.conversion.voc import read_voc
from ean_transfer.crowd_counting.datasets.dots import read_dots
from ean_transfer.crowd_counting.datasets.matlab import read_matlab_points
from ean_transfer.crowd_counting.points import as_points
from ean_transfer.data.conversion.matching import own_name
from ean_transfer.data.conversion.objects import AnnotatedImage, Marked, box, point
from ean_transfer.data.conversion.reading import SHARED, Reader
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.tables import (
    KNOWN,
    Row,
    Table,
    is_number,
    numbers,
    read_table,
    rows_by_image,
    text_of,
)
from ean_transfer.errors import DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, has_suffix

_IMAGE_KEYS = (*KNOWN["image"].split(), "img_id")
_POINT_KEYS = ("points", "point", "locations", "coordinates", "annpoints", "centers", "centres")
_MEANINGS = ("image", "left", "top", "right", "bottom", "x", "y", "width", "height", "label")


def read_csv(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the images of a table, or the one that the file is named after.

    A line is an object: x and y, or a box (left, top and right, bottom or width, height; also x, y,
    width, height, of which x and y are then the corner), whose centre is its point. A line without
    numbers is an image without objects, and so is an empty file.

    Raises:
        DataError: Nothing tells which columns hold the points, or a cell is no number.
    """
    if not text_of(file).strip():
        yield AnnotatedImage(own_name(file, settings.label_suffix), str(file))
        return
    table = read_table(file)
    meanings = _meanings(table, settings.columns)
    needed = _columns_of_point(table, meanings)
    images: Iterator[tuple[str, list[Row]]] = iter(
        [(own_name(file, settings.label_suffix), list(table.rows))]
    )
    if image := meanings.get("image"):
        images = rows_by_image(table, image)
    for name, rows in images:
        objects = [
            _object(table, row, needed, row.cells.get(meanings.get("label", ""), ""))
            for row in rows
            if any(row.cells.get(column) for column in needed.values())
        ]
        where = f"{file}, line {rows[0].line}" if rows else str(file)
        yield AnnotatedImage(name, where, None, objects)


def _meanings(table: Table, given: Mapping[Any, str]) -> dict[str, str]:
    if not table.named and not given:
        is_points = is_number(table.rows[0].cells[table.columns[0]])
        names = ("x", "y") if is_points else ("image", "x", "y")
        others = table.columns[len(names) :]
        # More columns may be boxes, or begin with a class, as YOLO's do.
        if any(row.cells.get(column) for row in table.rows for column in others):
            raise DataError(
                f"{table.file}: expected the columns {', '.join(names)} in a table without a "
                f"header, found {len(table.columns)} columns; name them by their numbers, as in "
                "--column x=2 --column y=3, for YOLO with --relative"
            )
        return dict(zip(names, table.columns, strict=False))
    meanings = table.meanings(_MEANINGS, given)
    column = meanings.get("image", "")
    # A table of one image may number or name its points.
    is_guess = column.casefold() in ("id", "name") and "image" not in given
    cells = [row.cells.get(column, "") for row in table.rows]
    if is_guess and not any(has_suffix(cell, IMAGE_SUFFIXES) for cell in cells):
        del meanings["image"]
    return meanings


def _columns_of_point(table: Table, meanings: Mapping[str, str]) -> dict[str, str]:
    """Meaning -> column, of those that a point is made of."""
    choices = [
        ("left", "top", "right", "bottom"),
        ("left", "top", "width", "height"),
        ("x", "y"),
    ]
    if [meanings.get(name, "").casefold() for name in ("x", "y")] == ["x", "y"]:
        choices.insert(2, ("x", "y", "width", "height"))
    for choice in choices:
        if all(name in meanings for name in choice):
            return {name: meanings[name] for name in choice}
    raise DataError(
        f"{table.file}: expected columns of points (x, y) or boxes, found {table.listed}; name "
        "them with --column x=NAME --column y=NAME, and that of the images with --column image=NAME"
    )


def _object(table: Table, row: Row, columns: Mapping[str, str], label: str) -> Marked:
    values = numbers(table, row, list(columns.values()))
    if len(values) == 2:
        return point(label, *values)
    left, top, right, bottom = values
    if "width" in columns:
        right, bottom = left + right, top + bottom
    if not np.isfinite(values).all():
        return point(label, np.nan, np.nan)
    return box(label, left, top, right, bottom)


def read_json_points(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the images of a JSON file, or the one that the file is named after.

    Read are ``{image: points}``, lists of ``{"image": ..., "points": ...}`` or of ``{"image": ...,
    "x": ..., "y": ...}``, and for one image ``{"points": ...}`` or the points alone. Points are
    ``[x, y]`` or ``{"x": ..., "y": ...}``.
    """
    name = own_name(file, settings.label_suffix)
    if isinstance(content, dict) and _value(content, _POINT_KEYS) is None:
        entries = [(str(image), entry) for image, entry in content.items()]
    elif isinstance(content, list) and content and _value(content[0], _IMAGE_KEYS) is not None:
        entries = [(str(_value(entry, _IMAGE_KEYS)), entry) for entry in content]
    else:
        entries = [(str(_value(content, _IMAGE_KEYS) or name), content)]
    images: dict[str, AnnotatedImage] = {}
    for image, entry in entries:
        known = images.setdefault(image, AnnotatedImage(image, f"{file}, {image}"))
        values = _value(entry, _POINT_KEYS)
        if values is None:
            values = [entry] if _value(entry, ("x",)) is not None else entry
        pairs = [(p["x"], p["y"]) if isinstance(p, dict) else p for p in values]
        known.objects += _points(pairs)
    yield from images.values()


def _value(entry: Any, keys: tuple[str, ...]) -> Any:
    """The value of the first of some keys, in capitals or not, if the entry is an object."""
    if not isinstance(entry, dict):
        return None
    by_name = {str(key).casefold(): value for key, value in entry.items()}
    return next((by_name[key] for key in keys if key in by_name), None)


def read_npy(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the image that an array of points, N x 2, is named after."""
    array = np.load(file, allow_pickle=False)
    yield AnnotatedImage(own_name(file, settings.label_suffix), str(file), None, _points(array))


def read_mat(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the image that a ``.mat`` of ShanghaiTech or UCF-QNRF is named after."""
    points = read_matlab_points(file)
    yield AnnotatedImage(own_name(file, settings.label_suffix), str(file), None, _points(points))


def read_dot_image(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the image that a dot image is named after."""
    points = read_dots(file, settings.dots)
    yield AnnotatedImage(own_name(file, settings.label_suffix), str(file), None, _points(points))


READERS: Mapping[str, Reader] = {
    **SHARED,
    "csv": read_csv,
    "json": read_json_points,
    "npy": read_npy,
    "mat": read_mat,
    "dots": read_dot_image,
    "voc": read_voc,
}
"""Reader of each format of points."""


def _points(values: npt.ArrayLike) -> list[Marked]:
    as_points(values)  # refuses other shapes; its numbers have fewer digits
    array = np.asarray(values, dtype=np.float64).reshape(-1, 2)
    return [point("", x, y) for x, y in array.tolist()]
