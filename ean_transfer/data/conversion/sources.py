"""Which files hold annotations, and in which format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.tables import text_of
from ean_transfer.data.conversion.via import SHAPES, is_via3
from ean_transfer.data.plain import CLASSES, LISTS, POINTS
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, has_suffix, list_images

_FORMATS_OF = {
    ".json": ("coco", "labelme", "via", "json"),
    ".csv": ("csv", "via"),
    ".tsv": ("csv",),
    ".xml": ("cvat", "voc"),
    ".npy": ("npy",),
    ".mat": ("mat",),
    ".txt": ("csv",),  # the last: a text beside annotations is rarely one
}
"""End of an annotation file's name -> the formats that it may have."""

_ADVICE = {
    "voc": "; its boxes say where objects are and not which pixels are theirs: outline them, or "
    "give the images of VOC's SegmentationClass with --table"
}
"""Format -> what to do where a task does not read it."""


class Source(NamedTuple):
    """Annotation files of one format.

    Attributes:
        root: The file, or the folder that the files lie in.
        format: Name of the format.
        files: The files, sorted; none if the format is one of images.
    """

    root: Path
    format: str
    files: list[Path]

    @property
    def is_file(self) -> bool:
        """Whether one file holds the annotations."""
        return self.files == [self.root]


def find_source(
    root: Path, settings: Settings, of_images: Sequence[str], known: set[str]
) -> Source:
    """List the annotation files of a source and recognise their format.

    Args:
        root: A file or a folder.
        settings: The settings; ``format`` and ``label_suffix`` narrow the choice.
        of_images: Formats of folders that hold images instead of annotation files, the first of
            which is taken where nothing else is there.
        known: All formats that the task reads.

    Raises:
        ConfigError: The task does not read the format.
        DataError: There is no such source, or no format or several are recognised.
    """
    if not root.exists():
        raise DataError(f"{root}: expected a file or a folder of annotations, found no such one")
    wanted = settings.format
    if wanted is not None and wanted not in known:
        raise ConfigError(
            f"--from: expected one of {', '.join(sorted(known))} for this task, found {wanted}"
            f"{_ADVICE.get(wanted, '')}"
        )
    ends = settings.label_suffix or (root.suffix if root.is_file() else "",)
    if wanted is None and of_images and all(has_suffix(f"x{end}", IMAGE_SUFFIXES) for end in ends):
        wanted = of_images[0]
    if wanted is not None and wanted in of_images:
        return Source(root, wanted, [])
    usual = [end for end, formats in _FORMATS_OF.items() if wanted in (None, *formats)]
    if root.is_file():
        files = [root]
    else:
        files = _annotation_files(root, settings.label_suffix or usual, wanted is None)
    if not files and wanted is None and of_images:
        return Source(root, of_images[0], [])
    if not files:
        raise DataError(
            f"{root}: expected annotation files (*{' *'.join(settings.label_suffix or usual)}), "
            "found none; check the path, --from and --label-suffix"
        )
    return Source(root, wanted or _recognised(files[0], known), files)


def read_json(file: Path) -> Any:
    """Read a JSON file; the last one is kept, since it is recognised first and then read.

    Raises:
        ValueError: It is no JSON.
    """
    return _read_json(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_json(file: Path, changed: int) -> Any:
    return json.loads(text_of(file))


def _annotation_files(root: Path, ends: Sequence[str], recognising: bool) -> list[Path]:
    by_end: dict[str, list[Path]] = {}
    for file in list_images(root, ends, recursive=True).images:
        if file.name not in (POINTS, CLASSES) and file.parent.name != LISTS:
            by_end.setdefault(file.suffix.lower(), []).append(file)
    if len(by_end) > 1:
        by_end.pop(".txt", None)
    if len(by_end) > 1 and recognising:
        counts = ", ".join(f"{len(files)} *{end}" for end, files in by_end.items())
        raise DataError(
            f"{root}: expected annotations of one format, found {counts}; name it with --from, or "
            "the ends of the files' names with --label-suffix"
        )
    return [file for files in by_end.values() for file in files]


def _recognised(file: Path, known: set[str]) -> str:
    name = _format_of(file)
    if name in known:
        return name
    problem = f"a file of the format {name}" if name else "none that is recognised"
    raise DataError(
        f"{file}: expected annotations in one of the formats {', '.join(sorted(known))}, found "
        f"{problem}{_ADVICE.get(name, '; see docs/converting.md, or name the format with --from')}"
    )


def _format_of(file: Path) -> str:
    """A format that a file seems to have, perhaps none that is known; ``""`` for no idea."""
    end = file.suffix.lower()
    if end == ".json":
        return _format_of_json(file)
    if end == ".xml":
        return _format_of_xml(file)
    if end in (".csv", ".tsv", ".txt"):
        with file.open("rb") as stream:
            return "via" if SHAPES.encode() in stream.readline() else "csv"
    return _FORMATS_OF.get(end, ("",))[0]


def _format_of_json(file: Path) -> str:
    try:
        content = read_json(file)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: expected JSON, found {error}; save the file again") from error
    if not isinstance(content, dict):
        return "json"
    if {"images", "annotations"} <= content.keys():
        return "coco"
    if "shapes" in content:
        return "labelme"
    if is_via3(content):
        return "via"
    first = next(iter(content.values()), None)
    is_via = isinstance(first, dict) and {"filename", "regions"} <= first.keys()
    return "via" if is_via or "_via_img_metadata" in content else "json"


def _format_of_xml(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            _, root = next(iter(ElementTree.iterparse(stream, ["start"])))
    except (ElementTree.ParseError, LookupError, ValueError, StopIteration) as error:
        raise DataError(f"{file}: expected XML, found {error}; save the file again") from error
    return {"annotations": "cvat", "annotation": "voc"}.get(root.tag, "")
