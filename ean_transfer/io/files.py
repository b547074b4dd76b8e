"""Writing files safely: in one step, and never over a file of somebody else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ean_transfer.errors import ConfigError


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``file``, of the same suffix; on success it replaces ``file``.

    An error or an interruption leaves the old file whole.
    """
    partial = file.with_name(f".{file.stem}.{os.getpid()}.partial{file.suffix}")
    try:
        yield partial
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(file: Path, text: str) -> None:
    """Write a text file in one step: a reader sees the old text or the new one, never a part."""
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8")


def file_hash(path: str | os.PathLike[str]) -> str:
    """The first 16 hex digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def refuse_to_replace(
    files: Iterable[Path], expected: str, is_ours: Callable[[Path], bool] = lambda file: False
) -> None:
    """Refuse to overwrite files that the same command did not write.

    Args:
        files: Paths that are about to be written.
        expected: Name of what the user should choose instead, e.g. ``"a new folder"``.
        is_ours: Test whether an existing file may be replaced, because an earlier run of the same
            command wrote it; by default none may.

    Raises:
        ConfigError: A file exists and is not ours.
    """
    for file in files:
        if file.exists() and not is_ours(file):
            raise ConfigError(
                f"{file}: expected {expected}, found a file that would be replaced: choose another"
            )
