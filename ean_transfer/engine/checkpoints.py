"""Which checkpoint of a work dir a training resumes from, also where its records are torn."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mmengine.logging import print_log

from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import read_checkpoint

LAST = "last_checkpoint"
"""The file that holds the path of the checkpoint written last."""
STOPPED = "stopped.pth"
"""The checkpoint of a training that was stopped by a signal within an epoch."""
_NAMES = ("epoch_*.pth", "iter_*.pth", STOPPED)


def checkpoints_in(work_dir: str | os.PathLike[str]) -> list[Path]:
    """The checkpoints of a work dir that a training can resume from, whole or not."""
    return sorted(file for name in _NAMES for file in Path(work_dir).glob(name))


def recorded_checkpoint(work_dir: str | os.PathLike[str]) -> Path | None:
    """The checkpoint that a training says it wrote last; ``None`` if it says nothing."""
    try:
        text = (Path(work_dir) / LAST).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    recorded = Path(text)
    moved = Path(work_dir) / recorded.name  # the recorded path is absolute, and folders move
    for file in (moved, recorded):
        if text and file.is_file():
            return file
    return None


def find_checkpoint(work_dir: str | os.PathLike[str]) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint of a work dir, and what a user should know of the choice.

    Raises:
        CheckpointError: There are checkpoints, and all of them are broken.
    """
    recorded, notes = recorded_checkpoint(work_dir), []
    others = [file for file in checkpoints_in(work_dir) if file != recorded]
    if recorded is None and not others:
        if (Path(work_dir) / LAST).exists():
            notes.append(f"{Path(work_dir) / LAST}: names no checkpoint that exists")
        return None, notes
    iterations: dict[Path, int] = {}  # of the whole ones
    for file in others if recorded is None else [recorded, *others]:
        try:
            meta = read_checkpoint(file).get("meta", {})
        except CheckpointError as error:
            notes.append(f"{error}; passed over")
            continue
        if file == recorded:
            return recorded, notes
        iterations[file] = int(meta.get("iter", 0))
    if not iterations:
        raise CheckpointError(
            f"{notes[0]}, and no other checkpoint in {work_dir} is whole: remove them, or choose "
            "another --work-dir, to train from the start"
        )
    newest = max(iterations, key=iterations.__getitem__)
    if recorded is None:
        notes.append(f"{Path(work_dir) / LAST}: missing or torn, expected a checkpoint's path")
    notes.append(f"{newest}: the newest whole checkpoint, used instead")
    return newest, notes


def seed_of(checkpoint: Path) -> int | None:
    """The seed that a checkpoint's training began with; ``None`` if it does not say."""
    return read_checkpoint(checkpoint).get("meta", {}).get("seed")


def last_checkpoint(work_dir: str | os.PathLike[str]) -> str:
    """Path of the last whole checkpoint that a training wrote.

    Raises:
        CheckpointError: The training wrote none, or none is whole.
    """
    file, notes = find_checkpoint(work_dir)
    for note in notes:
        print_log(note, logger="current", level=logging.WARNING)
    if file is None:
        raise CheckpointError(
            f"{work_dir}: no checkpoint; it is no work dir of a training, or of one that has not "
            "finished an epoch"
        )
    return str(file)


def go_on_from(work_dir: str | os.PathLike[str]) -> str:
    """The last checkpoint and how to continue from it, as the end of a message."""
    file = recorded_checkpoint(work_dir)
    return f"the last checkpoint is {file}" if file else f"{work_dir} holds no checkpoint yet"
