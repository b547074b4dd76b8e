"""The formats by name, and all annotations of a source in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ean_transfer.data.conversion.coco import read_coco
from ean_transfer.data.conversion.cvat import read_cvat
from ean_transfer.data.conversion.labelme import read_labelme
from ean_transfer.data.conversion.objects import AnnotatedImage
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.sources import Source, read_json
from ean_transfer.data.conversion.via import read_via
from ean_transfer.data.folder_report import without_path
from ean_transfer.errors import DataError, EANError
from ean_transfer.io.progress import progress_bar

Reader: TypeAlias = Callable[[Path, Any, Settings, LeftOut], Iterator[AnnotatedImage]]
"""Yields the annotated images of a file.

It gets the file, its content if it is JSON (else ``None``), the settings, and where to say what is
left out. Errors of wrong content, such as ``KeyError`` and ``ValueError``, are turned into one line
by its caller.
"""

SHARED: Mapping[str, Reader] = {
    "coco": read_coco,
    "labelme": read_labelme,
    "cvat": read_cvat,
    "via": read_via,
}
"""Formats of objects that several tasks read."""


def read_annotations(
    source: Source, readers: Mapping[str, Reader], settings: Settings, left_out: LeftOut
) -> list[AnnotatedImage]:
    """Read all annotation files of a source.

    Args:
        source: The files and their format.
        readers: Reader of each format.
        settings: How they are read.
        left_out: Where to say what is left out.

    Raises:
        DataError: A file is not of the format; names it.
    """
    images: list[AnnotatedImage] = []
    with progress_bar() as progress:
        task = progress.add_task("reading", total=len(source.files), note="")
        for file in source.files:
            with expecting(file, source.format):
                content = read_json(file) if file.suffix.lower() == ".json" else None
                images += readers[source.format](file, content, settings, left_out)
            progress.advance(task)
    return images


@contextmanager
def expecting(file: str | Path, what: str) -> Iterator[None]:
    """Turn the errors of reading wrong content into one line that names the file.

    Raises:
        DataError: The content is not as expected.
    """
    try:
        yield
    except (EANError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # numpy, ElementTree and Pillow raise many kinds for other files
        problem = f"no {error}" if isinstance(error, KeyError) else without_path(error, file)
        raise DataError(
            f"{file}: expected annotations in the format {what}, found {problem:.200}; correct the "
            "file, or name its format with --from"
        ) from error
