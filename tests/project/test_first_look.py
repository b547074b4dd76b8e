"""A folder that is not the task's data is refused by its names, with what it seems to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ean_transfer.errors import DataError
from ean_transfer.project.first_look import require_data

FILES = {
    "flowers": ("rose/1.JPG", "tulip/2.png"),
    "street": ("images/1.jpg", "labels/1.png"),
    "crowd": ("1.jpg", "points.csv"),
    "parts": ("train/rose/1.jpg", "val/rose/1.jpg"),
    "photos": ("1.jpg",),
    "empty": ("notes.txt", "splits/train.txt"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, names in FILES.items():
        for name in names:
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("classification", "flowers"),
        ("classification", "parts"),
        ("segmentation", "street"),
        ("counting", "crowd"),
    ],
)
def test_data_of_the_task_pass(root: Path, task: str, name: str) -> None:
    require_data(task, root / name)


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        ("classification", "flower", "found no such folder; did you mean .*flowers"),
        ("classification", "crowd/points.csv", "found a file; 'ean dataset convert'"),
        ("classification", "street", "is the task segmentation"),
        ("segmentation", "crowd", "is the task counting"),
        ("counting", "flowers", "is the task classification.*dataset convert counting"),
        ("counting", "photos", "images without labels; 'ean dataset convert counting LABELS"),
        ("classification", "flowers/rose", "did you mean the folder around it, .*flowers"),
        ("classification", "empty", "found no image"),
    ],
)
def test_other_folders_are_named(root: Path, task: str, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        require_data(task, root / name)


def test_a_wrong_folder_is_refused_before_torch_is_imported(root: Path) -> None:
    code = (
        "import sys; from ean_transfer.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules)"
    )
    for data, out in (("flower", "mine"), ("flowers", "crowd/points.csv"), ("flowers", "flowers")):
        typed = ["init", "classification", root / data, "--out-dir", root / out]
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, typed)], capture_output=True, text=True
        )
        assert done.stdout == "False\n" and done.stderr.count("\n") == 1, done.stderr
