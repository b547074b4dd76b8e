"""What lies in a data set's folder: images, their annotations, and which lacks the other."""

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
        annotations_without_image: Annotations whose image is not there.
        listed_without_image: Images that a list names and that are not there, as
            ``"0007 of val.txt"``.
        same_number: A file used and another with the same number, which is not.
    """

    pairs: tuple[Pair, ...]
    images_without_annotation: tuple[Path, ...] = ()
    annotations_without_image: tuple[Path, ...] = ()
    listed_without_image: tuple[str, ...] = ()
    same_number: tuple[tuple[Path, Path], ...] = ()

    def refuse_incomplete(self, data_root: str) -> None:
        """Raise for the first kind of missing or surplus file.

        Raises:
            DataError: naming the files.
        """
        if self.same_number:
            first, second = self.same_number[0]
            raise DataError(
                f"{first.parent}: {first.name} and {_beside(second, first)} have the same number; "
                "remove one of them"
            )
        if self.images_without_annotation:
            raise DataError(
                f"{self.images_without_annotation[0].parent}: expected an annotation for every "
                f"image, found none for {_some(self.images_without_annotation)}; add the missing "
                "files or remove the images"
            )
        if self.annotations_without_image:
            raise DataError(
                f"{self.annotations_without_image[0].parent}: expected an image for every "
                f"annotation, found none for {_some(self.annotations_without_image)}; add the "
                "missing files or remove the annotations"
            )
        if self.listed_without_image:
            raise DataError(
                f"{data_root}: expected every image that the split's list names, found none "
                f"for {_some(self.listed_without_image)}; unpack all parts of the data set"
            )


class Numbered(NamedTuple):
    """Files by the number in their name, and further files of a number already taken."""

    by_number: dict[int, Path]
    same_number: tuple[tuple[Path, Path], ...]


def numbered_files(pattern: str, *folders: Path) -> Numbered:
    """The folders' files whose whole name matches, by the number in the pattern's group;
    capitals or not.

    Raises:
        DataError: a folder is missing, or no file matches.
    """
    files: dict[int, Path] = {}
    same_number: list[tuple[Path, Path]] = []
    for path in (path for folder in folders for path in sorted(existing_folder(folder).iterdir())):
        match = re.fullmatch(pattern, path.name, re.IGNORECASE)
        if match and files.setdefault(int(match[1]), path) != path:
            same_number.append((files[int(match[1])], path))
    if not files:
        raise DataError(
            f"{folders[0]}: expected files named {pattern}, found none; check data_root"
        )
    return Numbered(dict(sorted(files.items())), tuple(same_number))


def pair_up(images: Numbered, annotations: Numbered) -> Files:
    """Images with the annotations of the same numbers."""
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


def existing_folder(folder: Path, expected: str = "a folder") -> Path:
    """The folder itself.

    Raises:
        DataError: it is not there.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: expected {expected}, found no such folder; check data_root, or unpack "
            "the data set there"
        )
    return folder


def read_matlab(path: Path, expected: str, pick: Callable[[dict[str, Any]], Any]) -> Any:
    """What ``pick`` takes out of a MATLAB file's variables.

    Args:
        expected: The same in words, for the error.

    Raises:
        DataError: not a MATLAB file, or without it.
    """
    try:
        return pick(scipy.io.loadmat(path))
    except Exception as error:  # scipy raises many kinds for a file that is not a .mat
        raise DataError(
            f"{path}: expected a MATLAB file with {expected}, found {type(error).__name__} "
            f"({error}); fetch the file again"
        ) from error


def _beside(path: Path, other: Path) -> str:
    return path.name if path.parent == other.parent else str(path)


def _some(files: tuple[Path, ...] | tuple[str, ...]) -> str:
    names = [file if isinstance(file, str) else file.name for file in files[:3]]
    rest = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return ", ".join(names) + rest
