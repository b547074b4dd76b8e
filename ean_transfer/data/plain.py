"""The text files beside plain data: which images a split has, and the names of the classes.

Plain data are images as they are with ``points.csv``, a folder of label files, or one folder per
class. Their data sets, one per task, read these files alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar
from unicodedata import normalize

from ean_transfer.errors import DataError
from ean_transfer.io.files import expanded
from ean_transfer.io.image_files import ImageFiles

CLASSES, POINTS, LISTS = "classes.txt", "points.csv", "splits"  # the last is a folder
_Image = TypeVar("_Image")


@dataclass(frozen=True)
class SplitList:
    """The images of a split, as a list file names them.

    Attributes:
        file: The list file.
        lines: Image, as its path in the data's folder -> number of its line, from 1.
    """

    file: Path
    lines: Mapping[str, int]

    def choose(self, images: Mapping[str, _Image]) -> dict[str, _Image]:
        """The images of the list, in its order.

        Args:
            images: All images of the data's folder by their paths in it.

        Raises:
            DataError: The list names an image that is not there.
        """
        chosen = by_names(self.lines, images)
        if missing := [name for name in self.lines if name not in chosen]:
            raise DataError(
                f"{self.file}, line {self.lines[missing[0]]}: expected an image's path in the "
                f"data's folder, found {missing[0]!r:.200}, which is no image there"
                f"{_and_more(len(missing))}; correct the list, or check data_root"
            )
        return chosen


class Part(NamedTuple):
    """A part of a data set: all images of a folder, or those of a list.

    Attributes:
        folder: The folder.
        chosen: The list, if there is one.
    """

    folder: Path
    chosen: SplitList | None


def part_of(data_root: str | os.PathLike[str], split: str) -> Part:
    """The part of a data set that ``split`` names.

    Args:
        data_root: The data set's folder.
        split: A folder within it, such as ``"train"``; or a text file with one image's path in
            ``data_root`` per line, such as ``"splits/train.txt"``, in ``data_root`` or, if there is
            none, as seen from the working directory. ``""`` is all of the data set.

    Raises:
        DataError: The list is missing, empty, no text, or names an image twice.
    """
    root = expanded(data_root)
    if not split.lower().endswith(".txt"):
        return Part(root / split, None)
    within, outside = root / split, expanded(split)
    return Part(root, _read_list(outside if outside.is_file() > within.is_file() else within))


def read_classes(data_root: str | os.PathLike[str]) -> tuple[str, ...] | None:
    """The classes that ``classes.txt`` names, one per line; ``None`` if there is no such file.

    Raises:
        DataError: The file is empty, no text, or names a class twice.
    """
    file = expanded(data_root) / CLASSES
    return tuple(_lines_of(file, "a class's name")) if file.is_file() else None


def plain_path(text: str) -> str:
    """A path within a folder with slashes, without ``./``, also where Windows wrote it."""
    return str(PurePosixPath(text.strip().replace("\\", "/")))


def by_names(names: Iterable[str], images: Mapping[str, _Image]) -> dict[str, _Image]:
    """Those images that are named: name -> image, in the order of the names.

    An accented letter is one character or two, a letter and its accent. Tables and lists commonly
    have one, file names from a Mac two, and on a screen they are the same.
    """
    composed = {normalize("NFC", name): image for name, image in images.items()}
    named = ((name, images.get(name, composed.get(normalize("NFC", name)))) for name in names)
    return {name: image for name, image in named if image is not None}


def without_plain_files(listed: ImageFiles) -> ImageFiles:
    """A listing in which lists, ``points.csv`` and ``classes.txt`` are not said to be left out."""
    rest = [
        file
        for file in listed.left_out
        if file.name not in (CLASSES, POINTS) and file.parent.name != LISTS
    ]
    return listed._replace(left_out=rest)


def _read_list(file: Path) -> SplitList:
    lines = _lines_of(file, "an image's path")
    return SplitList(file, {plain_path(text): number for text, number in lines.items()})


def _lines_of(file: Path, what: str) -> dict[str, int]:
    """The texts of a file, one per line, and their line numbers from 1; empty lines are skipped."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, UnicodeError) as error:
        problem = "no such file" if isinstance(error, OSError) else f"no text in UTF-8 ({error})"
        raise DataError(f"{file}: expected {what} per line, found {problem}") from None
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and lines.setdefault(line.strip(), number) != number:
            raise DataError(
                f"{file}, line {number}: expected {what} that no line before it has, found "
                f"{line.strip()!r:.200}, as in line {lines[line.strip()]}; remove one of them"
            )
    if not lines:
        raise DataError(f"{file}: expected {what} per line, found an empty file")
    return lines


def _and_more(number: int) -> str:
    return f" (and {number - 1} more such lines)" if number > 1 else ""
