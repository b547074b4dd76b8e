"""Which label file belongs to which image: by their names without the suffix."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from ean_transfer.errors import DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, has_suffix, list_images


class NamedFiles:
    """The files of a folder and the folders within it, by their names without the suffix.

    Args:
        folder: The folder.
        suffixes: Ends of the files' names, one or several, in capitals or not.

    Attributes:
        suffixes: Ends of the files' names.
        listing: The files, and those that were left out.
        names: Path of each file -> its name: its path in the folder without the suffix.
    """

    def __init__(self, folder: str, suffixes: str | Sequence[str]) -> None:
        self.folder = folder
        self.listing = list_images(folder, suffixes, recursive=True)
        self.suffixes = self.listing.suffixes
        longest_first = sorted(self.suffixes, key=len, reverse=True)
        self.names: dict[str, str] = {}
        self._paths: dict[str, list[str]] = {}
        for file in sorted(self.listing.images, key=str):  # mmseg's order
            relative = file.relative_to(folder).as_posix()
            suffix = next(end for end in longest_first if has_suffix(file, [end]))
            path, name = os.path.join(folder, relative), relative[: -len(suffix) or None]
            self.names[path] = name
            self._paths.setdefault(name, []).append(path)

    def path(self, name: str) -> str:
        """The file of a name; where there is none, the one that was expected.

        Raises:
            DataError: There are several, of different suffixes.
        """
        first, *others = self._paths.get(name, [os.path.join(self.folder, name + self.suffixes[0])])
        if others:
            raise DataError(
                f"{first}: expected one file of this name, found {others[0]} as well; take one of "
                "them away, or name one suffix only"
            )
        return first


def find_pairs(
    images: NamedFiles, labels: NamedFiles | None, listed: Sequence[str] | None = None
) -> list[tuple[str, str | None]]:
    """Paths of images and their label files, none of which need exist.

    Args:
        images: The images.
        labels: The label files, if there are any. Where they lie among the images, a file that
            ends in both suffixes is what the longer one says.
        listed: Names of the images to take, in this order; all of them by default, and then what
            is left out is counted in the log.

    Raises:
        DataError: Several images, or several label files, have the same name.
    """
    own = {} if labels is None else labels.names
    if listed is None:
        paths = [p for p, name in images.names.items() if len(own.get(p, name)) >= len(name)]
        pairs_of = [(path, images.names[path]) for path in paths]
        _log_left_out(images, labels, {name for _, name in pairs_of})
    else:
        pairs_of = [(images.path(name), name) for name in listed]
    if labels is None:
        return [(path, None) for path, _ in pairs_of]
    return [(images.path(name), labels.path(name)) for _, name in pairs_of]


def _log_left_out(images: NamedFiles, labels: NamedFiles | None, used: set[str]) -> None:
    own = set() if labels is None else {Path(path) for path in labels.names}
    left_out = [file for file in images.listing.left_out if file not in own]
    seen = {file.suffix.lower() for file in left_out if not file.name.startswith(".")}
    kinds = sorted(seen & set(IMAGE_SUFFIXES))
    remedy = f"add {' and '.join(kinds)} to img_suffix, a list, to take them" if kinds else ""
    _warn(images.listing._replace(left_out=left_out).left_out_text(remedy))
    # What was said of an image need not be said again of its labels.
    named = used | {file.relative_to(images.folder).with_suffix("").as_posix() for file in left_out}
    surplus = [path for path, name in (labels.names if labels else {}).items() if name not in named]
    if surplus:
        more = f" (and {len(surplus) - 1} more)" if len(surplus) > 1 else ""
        _warn(
            f"{surplus[0]}{more}: left out, there is no image (*{' *'.join(images.suffixes)}) of "
            f"that name in {images.folder}"
        )


def _warn(text: str) -> None:
    if text:
        print_log(text, logger="current", level=logging.WARNING)
