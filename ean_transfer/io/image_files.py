"""Which files of a folder are images: one rule for all tasks, and a line on what it left out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Ends of the names of images, where a data set does not say its own."""


class ImageFiles(NamedTuple):
    """The images of a folder, and the files that are none by their names.

    Attributes:
        folder: The folder that was searched.
        suffixes: Ends of the names that were asked for.
        images: Image files, sorted by their paths.
        left_out: All other files that can be seen, and hidden ones with an image's suffix, such as
            the ``._a.jpg`` that macOS writes beside ``a.jpg``; sorted.
    """

    folder: Path
    suffixes: tuple[str, ...]
    images: list[Path]
    left_out: list[Path]

    def left_out_text(self, remedy: str = "") -> str:
        """One line that counts the files left out by suffix; empty if there are none.

        Args:
            remedy: What to do if they should have been taken; ends the line.
        """
        if not self.left_out:
            return ""
        kinds: dict[str, list[str]] = {}
        for file in self.left_out:
            kind = f"*{file.suffix.lower()}" if file.suffix else "without a suffix"
            kind = f"hidden {kind}" if file.name.startswith(".") else kind
            kinds.setdefault(kind, []).append(file.relative_to(self.folder).as_posix())
        ordered = sorted(kinds.items(), key=lambda item: -len(item[1]))
        counts = [
            f"{len(names)} {kind} ({names[0]}{', ...' if len(names) > 1 else ''})"
            for kind, names in ordered
        ]
        number = len(self.left_out)
        return (
            f"{self.folder}: left out {number} file{'s' if number > 1 else ''}, where images end "
            f"in {' '.join(self.suffixes)}: {', '.join(counts)}{remedy and f'; {remedy}'}"
        )


def list_images(
    folder: str | os.PathLike[str],
    suffixes: str | Sequence[str] = IMAGE_SUFFIXES,
    recursive: bool = False,
) -> ImageFiles:
    """Find the images of a folder by the ends of their names, in capitals or not.

    Hidden files and folders hold no images: macOS and editors put copies and thumbnails there.

    Args:
        folder: The folder; a missing one has no files.
        suffixes: Ends of the images' names, e.g. ``".png"`` or ``"_rgb.png"``, one or several.
        recursive: Whether to search the folders within it, too; links are followed.
    """
    suffixes = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
    images, left_out = [], []
    for file in sorted(_files(Path(folder), recursive)):
        if has_suffix(file, suffixes):
            images.append(file)
        elif not file.name.startswith(".") or file.name.lower().endswith(IMAGE_SUFFIXES):
            left_out.append(file)
    return ImageFiles(Path(folder), suffixes, images, left_out)


def has_suffix(file: str | os.PathLike[str], suffixes: Sequence[str]) -> bool:
    """Whether a name ends in one of the suffixes, in capitals or not, and is not hidden."""
    name = os.path.basename(file)
    ends = tuple(suffix.lower() for suffix in suffixes)
    return not name.startswith(".") and name.lower().endswith(ends)


def _files(folder: Path, recursive: bool) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        yield from (Path(parent, name) for name in names)
