"""Files that are replaced in one step: a reader never sees half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Within: another path beside the file, with its suffix, to write to; it then takes its place.

    An error or an interruption leaves the old file whole.
    """
    partial = file.with_name(f".{file.stem}.{os.getpid()}.partial{file.suffix}")
    try:
        yield partial
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(file: Path, text: str) -> None:
    """Replace a file's text."""
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8")
