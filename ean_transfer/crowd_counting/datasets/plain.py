"""Your own points: images of any names, and one table with the points of all of them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset
from ean_transfer.crowd_counting.datasets.files import Files, Pair, file_name
from ean_transfer.crowd_counting.points import Points, as_points
from ean_transfer.data.plain import POINTS, by_names, part_of, plain_path, without_plain_files
from ean_transfer.errors import DataError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.io.image_files import IMAGE_SUFFIXES, list_images


@DATASETS.register_module()
class PointsDataset(CountingDataset):
    """Images as they are, in folders within ``data_root`` as well, and one ``points.csv``::

        data_root/street/a.JPG
        data_root/b.png
        data_root/points.csv        image,x,y
                                    street/a.JPG,120.5,33

    The table has a line per object, with the image's path in ``data_root``. An image that is in no
    line has no objects, and so has one whose line has no numbers (``b.png,,``). ``ean dataset
    convert counting`` writes the table from other formats.

    Args:
        data_root: The data set's folder.
        split: A folder within ``data_root`` with a table of its own, or a list of images such as
            ``"splits/train.txt"``; see :func:`~ean_transfer.data.plain.part_of`.
        points_file: The table in the folder.
        image_suffix: Ends of the images' names, one or several.
        **kwargs: Arguments of :class:`CountingDataset`.
    """

    without_points = True

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        split: str = "",
        points_file: str = POINTS,
        image_suffix: str | Sequence[str] = IMAGE_SUFFIXES,
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.points_file = points_file
        self.image_suffix = image_suffix
        self._points: dict[Path, list[tuple[float, float]]] = {}
        super().__init__(data_root, **kwargs)

    def list_files(self) -> Files:
        root, chosen = part_of(self.data_root, self.split)
        listed = without_plain_files(list_images(root, self.image_suffix, recursive=True))
        by_name = {image.relative_to(root).as_posix(): image for image in listed.images}
        if not by_name:
            others = listed.left_out_text()
            raise DataError(
                f"{root}: expected images (*{' *'.join(listed.suffixes)}), found "
                f"{'none' if root.is_dir() else 'no such folder'}; check data_root"
                f"{others and f' ({others})'}"
            )
        images = {name: by_name[name] for name in sorted(by_name, key=file_name)}
        table = root / self.points_file
        self.remedy = f"correct {table}"
        self._points = {path: [] for path in images.values()}
        points = read_table(table)
        named = by_names(points, by_name)
        for name, of_image in points.items():
            self._points[named.get(name, root / name)] = of_image
        strangers = self._points.keys() - by_name.values()
        used = images if chosen is None else chosen.choose(images)
        return Files(
            # All points are in one file, so an image's own path stands for its annotation.
            pairs=tuple(Pair(path, path) for path in used.values()),
            annotations_without_image=tuple(sorted(strangers)),
            left_out=tuple(listed.left_out),
            left_out_text=(text,) if (text := listed.left_out_text()) else (),
            naming=f"in the column image of {table.name}",
        )

    def read_points(self, annotation: Path) -> Points:
        return as_points(self._points[annotation])


def read_table(file: Path) -> dict[str, list[tuple[float, float]]]:
    """Read the points of each image from a table with the columns image, x and y.

    Args:
        file: A CSV file; other columns are not read.

    Returns:
        Image, as its path in the table's folder -> points (x, y) in pixels, in the table's order.

    Raises:
        DataError: The file is missing, or not such a table.
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for image, x, y in _rows(file):
        of_image = points.setdefault(plain_path(image), [])
        if x or y:
            of_image.append((float(x), float(y)))
    return points


def _rows(file: Path) -> Iterator[tuple[str, str, str]]:
    """The cells image, x and y of each line, of which x and y are numbers or both empty."""
    if not file.is_file():
        raise DataError(
            f"{file}: expected a table with the columns image, x and y, found no such file; write "
            "it with 'ean dataset convert counting', see docs/converting.md"
        )
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
        reader = csv.DictReader(stream)
        columns = tuple(name.strip() for name in reader.fieldnames or ())
        reader.fieldnames = columns
        if missing := {"image", "x", "y"}.difference(columns):
            raise DataError(
                f"{file}: expected a table with the columns image, x and y, found no column "
                f"{min(missing)} in {','.join(columns)!r:.80}; write the table with 'ean dataset "
                "convert counting', see docs/converting.md"
            )
        for row in reader:
            image, x, y = ((row[name] or "").strip() for name in ("image", "x", "y"))
            more = row.get(None, ())  # beyond the columns, as of decimal commas
            if any(map(str.strip, more)) or not (image and (x == y == "" or _are_finite(x, y))):
                raise DataError(
                    f"{file}, line {reader.line_num}: expected an image and two numbers, x and y, "
                    f"found {','.join((image, x, y, *more))!r:.80}; correct the line"
                )
            yield image, x, y


def _are_finite(*cells: str) -> bool:
    try:
        return bool(np.isfinite([float(cell) for cell in cells]).all())
    except ValueError:
        return False
