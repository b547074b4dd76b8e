"""What a data folder seems to hold by its names, read before torch, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from ean_transfer.data.plain import LISTS, POINTS
from ean_transfer.errors import DataError
from ean_transfer.io.files import expanded
from ean_transfer.io.image_files import IMAGE_SUFFIXES, has_suffix

TRAIN = "train"
"""Folder of the images to train on, where data come in parts."""

_KINDS = {
    "classification": "one folder of images per class",
    "segmentation": "the folders images and labels",
    "counting": f"images and {POINTS}",
}
"""Task -> what its data's folder holds."""


def require_data(task: str, data: Path) -> None:
    """Refuse a folder that is clearly not the data of a task, with what it seems to be.

    Args:
        task: The task.
        data: The folder, as it was typed.

    Raises:
        DataError: There is no such folder, or it holds something else.
    """
    root = expanded(data)
    if not root.is_dir():
        raise DataError(f"{data}: expected the data's folder, found {_instead(root)}")
    folder = root / TRAIN if (root / TRAIN).is_dir() else root
    kinds = list(_kinds_of(folder))
    if task not in kinds:
        raise DataError(
            f"{folder}: expected {_KINDS[task]} for {task}, found {_contents(task, folder, kinds)}"
        )


def _kinds_of(folder: Path) -> Iterator[str]:
    """The tasks whose data a folder may hold."""
    if (folder / POINTS).is_file():
        yield "counting"
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        yield "segmentation"
    elif any(_has_images(child) for child in _folders(folder)):
        yield "classification"


def _folders(folder: Path) -> list[Path]:
    names = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [path for path in names if path.name != LISTS]


def _has_images(folder: Path) -> bool:
    """Whether images lie in a folder, or in folders within it."""
    return any(has_suffix(file.name, IMAGE_SUFFIXES) for file in folder.rglob("*"))


def _instead(root: Path) -> str:
    """What is there where a folder was expected."""
    if root.exists():
        return "a file; 'ean dataset convert' turns files of labels into such a folder"
    parent = root.parent
    names = [path.name for path in _folders(parent)] if parent.is_dir() else []
    near = get_close_matches(root.name, names, n=1)
    return "no such folder" + (f"; did you mean {parent / near[0]}?" if near else "")


def _contents(task: str, folder: Path, kinds: list[str]) -> str:
    """What a folder holds, and what to do about it."""
    convert = f"'ean dataset convert {task} LABELS --images {folder}' reads labels of other tools"
    if kinds == ["classification"]:  # or perhaps images in folders, without labels
        return f"{_KINDS['classification']}: is the task classification? If not, {convert}"
    if kinds:
        return f"{_KINDS[kinds[0]]}: is the task {kinds[0]}?"
    if not _has_images(folder):
        return "no image"
    if task != "classification":
        return f"images without labels; {convert}"
    around = folder.resolve().parent
    return (
        f"images in no class's folder; did you mean the folder around it, {around}? 'ean dataset "
        "convert classification' makes such folders from a table of files and labels"
    )
