"""Listing a data set's folder: images, their annotations, and which lacks the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ean_transfer.errors import DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, ImageFiles, has_suffix, list_images

Name: TypeAlias = tuple[str | int, ...]
"""What an image and its annotation share: texts and numbers in turn, e.g. ``("img_", 12, "")``."""


class Pair(NamedTuple):
    """An image and its annotation, which is the image's own path where one file annotates all.

    The annotation is ``None`` where the data set was published without labels.
    """

    image: Path
    annotation: Path | None


@dataclass(frozen=True)
class Files:
    """A data set's files, also of a folder where some are missing.

    Attributes:
        pairs: The usable images, in the order of their names, numbers in them by value.
        images_without_annotation: Images that should have an annotation.
        annotations_without_image: Annotations whose image is missing.
        listed_without_image: Missing images that a list names, as ``"0007 of val.txt"``.
        same_number: Pairs of a file that is used and another with the same name or number, which
            is not.
        left_out: Files in the same folders that are neither images nor annotations by their names.
        left_out_text: A line for each folder that has such files.
        naming: How an annotation is named after its image, for messages.
    """

    pairs: tuple[Pair, ...]
    images_without_annotation: tuple[Path, ...] = ()
    annotations_without_image: tuple[Path, ...] = ()
    listed_without_image: tuple[str, ...] = ()
    same_number: tuple[tuple[Path, Path], ...] = ()
    left_out: tuple[Path, ...] = ()
    left_out_text: tuple[str, ...] = ()
    naming: str = ""

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
                naming = f" ({self.naming})" if self.naming else ""
                raise DataError(
                    f"{data_root}: expected {expected}{naming}, found none for {named}{rest}; "
                    f"{hint}"
                )


class NamedFiles(NamedTuple):
    """Files by what their names share with those of other files.

    Attributes:
        by_name: The files, in the order of their names.
        same_name: Pairs of a file in ``by_name`` and another of the same name.
        folders: What each folder that is there holds, and what was left out of it.
    """

    by_name: dict[Name, Path]
    same_name: tuple[tuple[Path, Path], ...]
    folders: tuple[ImageFiles, ...]


def named_files(
    *folders: Path,
    suffixes: str | Sequence[str] = IMAGE_SUFFIXES,
    prefix: str = "",
    other_suffixes: Sequence[str] = (),
    hint: str = "check data_root, or unpack the data there",
) -> NamedFiles:
    """List the folders' files by their names without prefix and suffix.

    Capitals and leading zeros make no difference. Hidden files are left out, see
    :mod:`ean_transfer.io.image_files`.

    Args:
        *folders: The folders, of which some may be missing.
        suffixes: Ends of the files' names.
        prefix: Start of the files' names that is no part of what they share, if it is there.
        other_suffixes: Ends of the names of other files in the same folders: a file is one of
            these if it has a longer end of these.
        hint: What to do if there is no file; ends the error.

    Raises:
        DataError: All folders are missing, or no file has such a name.
    """
    suffixes = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
    files: dict[Name, Path] = {}
    same_name: list[tuple[Path, Path]] = []
    lists = tuple(list_images(folder, suffixes) for folder in folders if folder.is_dir())
    for path in (path for listed in lists for path in listed.images):
        suffix = _longest_end(path, suffixes)
        if len(_longest_end(path, other_suffixes)) > len(suffix):
            continue
        stem = path.name[: len(path.name) - len(suffix)]
        name = file_name(re.sub(f"^{re.escape(prefix)}", "", stem, flags=re.IGNORECASE))
        if files.setdefault(name, path) != path:
            same_name.append((files[name], path))
    if not files:
        others = "".join(f" ({text})" for listed in lists if (text := listed.left_out_text()))
        raise DataError(
            f"{folders[0]}: expected a folder with files {prefix}*({' '.join(suffixes)}), found "
            f"{'none' if lists else 'no such folder'}; {hint}{others}"
        )
    # Only equal kinds are ever compared: texts and numbers take turns.
    return NamedFiles(dict(sorted(files.items())), tuple(same_name), lists)


def file_name(stem: str) -> Name:
    """A name in which numbers are compared by value: 2 comes before 10 and equals 002."""
    parts = re.split(r"(\d+)", stem.lower())
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))


def pair_up(images: NamedFiles, annotations: NamedFiles, naming: str = "") -> Files:
    """Match images with the annotations of the same names.

    Args:
        images: The images.
        annotations: The annotations, in the same folder or in others.
        naming: How an annotation is named after its image, for messages.
    """
    image_of, annotation_of = images.by_name, annotations.by_name
    left_out, left_out_text = files_left_out(images, annotations)
    return Files(
        pairs=tuple(
            Pair(path, annotation_of[name])
            for name, path in image_of.items()
            if name in annotation_of
        ),
        images_without_annotation=tuple(
            path for name, path in image_of.items() if name not in annotation_of
        ),
        annotations_without_image=tuple(
            path for name, path in annotation_of.items() if name not in image_of
        ),
        same_number=images.same_name + annotations.same_name,
        left_out=left_out,
        left_out_text=left_out_text,
        naming=naming,
    )


def files_left_out(*parts: NamedFiles) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Files of the parts' folders that belong to no part, and a line for each folder with some."""
    used = {path for part in parts for path in part.by_name.values()}
    used |= {path for part in parts for _, path in part.same_name}
    folders: dict[Path, ImageFiles] = {}
    for listed in (listed for part in parts for listed in part.folders):
        rest = [path for path in listed.left_out if path not in used]
        if listed.folder in folders:  # images and annotations in one folder
            first = folders[listed.folder]
            rest = [path for path in rest if path in first.left_out]
            listed = listed._replace(suffixes=first.suffixes + listed.suffixes)
        folders[listed.folder] = listed._replace(left_out=rest)
    texts = tuple(text for listed in folders.values() if (text := listed.left_out_text()))
    return tuple(path for listed in folders.values() for path in listed.left_out), texts


def _longest_end(path: Path, suffixes: Sequence[str]) -> str:
    return max((end for end in suffixes if has_suffix(path, [end])), key=len, default="")
