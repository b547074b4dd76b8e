"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ean_transfer.errors import ConfigError
from ean_transfer.io.files import require_writable


def refuse_existing(target: Path) -> None:
    """Refuse to write over what is there.

    Raises:
        ConfigError: The file exists, or the folder is not empty, or cannot be written.
    """
    is_empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not is_empty:
        raise ConfigError(
            f"{target}: expected nothing of that name yet, found "
            f"{'a folder with files' if target.is_dir() else 'a file'}; remove it, or choose "
            "another place with --out-dir"
        )
    require_writable(target)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``, which takes its place at the end.

    After an error or an interruption nothing is left of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if target.is_dir():
            target.rmdir()  # empty, or it was refused
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
