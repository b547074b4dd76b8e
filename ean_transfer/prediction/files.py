"""Predicting image files: which files are meant, what is written for them, and where."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ean_transfer.engine.inference import Predictor
from ean_transfer.engine.results import Prediction
from ean_transfer.errors import DataError
from ean_transfer.io.files import refuse_to_replace, write_atomically
from ean_transfer.io.image_files import IMAGE_SUFFIXES, list_images
from ean_transfer.io.images import read_image
from ean_transfer.visualization.picture import write_picture
from ean_transfer.visualization.sheet import Cell, draw_sheet, evenly_spread, in_rows

SHEET_CELLS = 16
"""Largest number of thumbnails in a contact sheet."""


def find_images(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Image files in the order of the paths; those of a folder in the order of their names.

    A file that is named twice, or lies in a named folder, is there once.

    What is left out of a folder is logged: by its suffix no image, or hidden, such as the
    ``._a.jpg`` of macOS.

    Raises:
        DataError: A path does not exist, or a folder holds no image.
    """
    images: list[Path] = []
    for path in map(Path, paths):
        if path.is_file():
            images.append(path)
            continue
        listed = list_images(path)
        others = listed.left_out_text()
        if not listed.images:
            folders = sorted(p.name for p in path.iterdir() if p.is_dir()) if path.is_dir() else []
            inside = f", but folders ({', '.join(folders)}): name these" if folders else ""
            raise DataError(
                f"{path}: expected an image or a folder of images ({', '.join(IMAGE_SUFFIXES)}), "
                f"found {f'none in it{inside}' if path.exists() else 'no such file'}"
                f"{others and f' ({others})'}"
            )
        if others:
            print_log(others, logger="current", level=logging.WARNING)
        images += listed.images
    # Predicted twice, an image would have its objects twice in the table of points.
    once: dict[str, Path] = {}
    for image in images:
        once.setdefault(os.path.abspath(image), image)
    return list(once.values())


def predict_files(
    predictor: Predictor[Any],
    images: Sequence[Path],
    folder: str | os.PathLike[str],
    sheet: Path | None = None,
) -> Iterator[tuple[Path, Prediction | DataError]]:
    """Predict each image, write its files and, at the end, a table of all.

    An image that cannot be read is reported and does not stop the others. The table is also written
    if the caller stops in between.

    Args:
        predictor: The trained network.
        images: The image files.
        folder: Folder for everything that is written, made if there is none: the files that the
            task's result writes for an image, named after it and numbered where names repeat; the
            task's table, a list of ``{"image", "width", "height", ...}`` or
            ``{"image", "error"}``; and a table of points, if the results have them.
        sheet: Picture of some of the images, evenly spread; none by default.

    Yields:
        Each image with its prediction, or with the error that it ended in.

    Raises:
        ConfigError: The folder is that of an image, or holds files that would be replaced and no
            table of an earlier run.
        OSError: A file cannot be written.
    """
    out = Path(folder)
    table, endings = out / predictor.table, predictor.result.files
    files = [
        {key: out / f"{name}{ending}" for key, ending in endings.items()}
        for name in unique_names(images)
    ]
    tables = [out / name for name in (predictor.table, predictor.points_table) if name]
    _require_nothing_is_lost(images, [file for row in files for file in row.values()], tables)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    points: list[tuple[Path, Any]] = []
    cells: list[Cell] = []
    in_sheet = set(evenly_spread(min(SHEET_CELLS, len(images)), len(images))) if sheet else set()

    def write_tables() -> None:
        write_atomically(table, json.dumps(rows, indent=2) + "\n")
        if predictor.points_table:
            # A name of other bytes than UTF-8 is written as data sets read it.
            table_of_points = out / predictor.points_table
            write_atomically(table_of_points, _points_text(points), errors="surrogateescape")

    if not table.exists():
        write_tables()  # were the process killed, the folder would not be recognised as ours
    try:
        for place, (image, its_files) in enumerate(zip(images, files, strict=True)):
            row: dict[str, Any] = {"image": str(image)}
            rows.append(row)
            try:
                pixels = read_image(image, predictor.exif)
                result = predictor(pixels)
            except DataError as error:
                row["error"] = str(error) if str(image) in str(error) else f"{image}: {error}"
                yield image, DataError(row["error"])
                continue
            shown = np.ascontiguousarray(pixels[..., ::-1])
            result.write(shown, its_files)
            names = {key: file.name for key, file in its_files.items()}
            row |= {"width": pixels.shape[1], "height": pixels.shape[0]}
            row |= result.entries() | names
            if predictor.points_table:
                points.append((image, result.points))
            if place in in_sheet:
                cells.append(result.thumbnail(shown, image.name))
            yield image, result
    finally:
        write_tables()
    if sheet and cells:
        write_picture(sheet, draw_sheet(in_rows(cells, int(np.ceil(np.sqrt(len(cells)))))))


def _points_text(points: Sequence[tuple[Path, Any]]) -> str:
    """A CSV of one point per line, as points data sets read it: ``image,x,y``, images by the path
    from the folder that holds them all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", "x", "y"))
    if points:
        root = os.path.commonpath([image.absolute().parent for image, _ in points])
        for image, its_points in points:
            name = Path(os.path.relpath(image, root)).as_posix()
            writer.writerows((name, f"{x:.2f}", f"{y:.2f}") for x, y in its_points)
    return text.getvalue()


def unique_names(images: Sequence[Path]) -> list[str]:
    """A name for each image: its own, numbered where another image has it too."""
    names: list[str] = []
    taken: set[str] = set()
    for image in images:
        name, number = image.stem, 2
        while name.lower() in taken:  # some file systems take a and A for the same name
            name, number = f"{image.stem}_{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _require_nothing_is_lost(
    images: Sequence[Path], files: Sequence[Path], tables: Sequence[Path]
) -> None:
    """Refuse a folder where images or others' files would be replaced, or be taken for results."""
    table = tables[0]
    folder = table.parent.resolve()
    beside = [image for image in images if image.resolve().parent == folder]
    earlier = _is_table(table)  # then the files beside it are an earlier run's
    refuse_to_replace(
        [*beside, *files, *tables],
        f"another folder for the results, a new one or one with the {table.name} of an earlier run",
        lambda file: earlier and file not in beside,
    )


def _is_table(file: Path) -> bool:
    """Whether a file is a table as :func:`predict_files` writes it."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(rows, list) and all(isinstance(row, dict) and "image" in row for row in rows)
