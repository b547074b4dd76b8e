"""Listing a data set's folder: images, their annotations, and which lacks the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import scipy.io

from ean_transfer.errors import DataError


class Pair(NamedTuple):
    """An image and its annotation; ``None`` where the data set was published without labels."""

    image: Path
    annotation: Path | None


@dataclass(frozen=True)
class Files:
    """A data set's files, also of a folder where some are missing.

    Attributes:
        pairs: The usable images, in the order of their numbers.
        images_without_annotation: Images that should have an annotation.
        annotations_without_image: Annotations whose image is missing.
        listed_without_image: Missing images that a list names, as ``"0007 of val.txt"``.
        same_number: Pairs of a file that is used and another with the same number, which is not.
    """

    pairs: tuple[Pair, ...]
    images_without_annotation: tuple[Path, ...] = ()
    annotations_without_image: tuple[Path, ...] = ()
    listed_without_image: tuple[str, ...] = ()
    same_number: tuple[tuple[Path, Path], ...] = ()

    def refuse_incomplete(self, data_root: str) -> None:
        """Refuse a folder with missing or surplus files.

        Raises:
            DataError: Names the first files of the first kind of problem.
        """
        problems = (
            (
                "a number of its own for every file",
                [f"{second} ({first} has it)" for first, second in self.same_number],
                "remove one of two",
            ),
            (
                "an annotation for every image",
                self.images_without_annotation,
                "add the missing files or remove the images",
            ),
            (
                "an image for every annotation",
                self.annotations_without_image,
                "add the missing files or remove the annotations",
            ),
            (
                "every image that the split's list names",
                self.listed_without_image,
                "unpack all parts of the data set",
            ),
        )
        for expected, files, hint in problems:
            if files:
                named = ", ".join(map(str, files[:3]))
                rest = f" and {len(files) - 3} more" if len(files) > 3 else ""
                raise DataError(
                    f"{data_root}: expected {expected}, found none for {named}{rest}; {hint}"
                )


class Numbered(NamedTuple):
    """Files by the number in their name, and pairs of files that have the same number."""

    by_number: dict[int, Path]
    same_number: tuple[tuple[Path, Path], ...]


def numbered_files(pattern: str, *folders: Path) -> Numbered:
    """List the folders' files whose whole name matches, by the number in the pattern's group.

    Capitals make no difference. Of several folders, some may be missing.

    Raises:
        DataError: All folders are missing, or no file matches.
    """
    files: dict[int, Path] = {}
    same_number: list[tuple[Path, Path]] = []
    there = [folder for folder in folders if folder.is_dir()]
    for path in (path for folder in there for path in sorted(folder.iterdir())):
        match = re.fullmatch(pattern, path.name, re.IGNORECASE)
        if match and files.setdefault(int(match[1]), path) != path:
            same_number.append((files[int(match[1])], path))
    if not files:
        raise DataError(
            f"{folders[0]}: expected a folder with files {pattern}, found "
            f"{'none' if there else 'no such folder'}; check data_root, or unpack the data there"
        )
    return Numbered(dict(sorted(files.items())), tuple(same_number))


def pair_up(images: Numbered, annotations: Numbered) -> Files:
    """Match images with the annotations of the same numbers."""
    image_of, annotation_of = images.by_number, annotations.by_number
    return Files(
        pairs=tuple(
            Pair(path, annotation_of[number])
            for number, path in image_of.items()
            if number in annotation_of
        ),
        images_without_annotation=tuple(
            path for number, path in image_of.items() if number not in annotation_of
        ),
        annotations_without_image=tuple(
            path for number, path in annotation_of.items() if number not in image_of
        ),
        same_number=images.same_number + annotations.same_number,
    )


def read_matlab(path: Path, expected: str, pick: Callable[[dict[str, Any]], Any]) -> Any:
    """Read a MATLAB file and return what ``pick`` takes out of its variables.

    Args:
        path: The file.
        expected: What ``pick`` takes, in words, for the error.
        pick: Gets the variables by name.

    Raises:
        DataError: The file is no MATLAB file, or ``pick`` fails.
    """
    try:
        return pick(scipy.io.loadmat(path))
    except Exception as error:  # scipy raises many kinds of error for other files
        raise DataError(
            f"{path}: expected a MATLAB file with {expected}, found {type(error).__name__} "
            f"({error}); fetch the file again"
        ) from error
