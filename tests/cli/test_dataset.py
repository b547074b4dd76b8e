"""``tools/dataset.py`` as its user meets it: what is printed, where, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers import CONFIGS

Run = Callable[..., Any]


@pytest.fixture
def run(run_tool: Run) -> Run:
    return partial(run_tool, "dataset")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    for number in range(3):
        dots = np.zeros((32, 32, 3), np.uint8)
        dots[5, : 2 * number + 1 : 2] = (0, 0, 255)
        cv2.imwrite(str(tmp_path / f"{number}cell.png"), np.full((32, 32, 3), 40, np.uint8))
        cv2.imwrite(str(tmp_path / f"{number}dots.png"), dots)
    return tmp_path


def test_clean_folder_is_code_0_and_a_few_lines(run: Run, cells: Path) -> None:
    outcome = run("check", "dots", cells)
    assert outcome.code == 0 and not outcome.err
    assert [line.split()[:2] for line in outcome.out.splitlines()] == [
        ["DotImageDataset:", str(cells)],
        ["images", "3"],
        ["sizes", "3"],
        ["suffixes", "3"],
        ["stored", "as"],
        ["red,", "green,"],
        ["points", "6,"],
        ["no", "problems"],
    ]


def test_problems_are_code_1_and_named(run: Run, cells: Path) -> None:
    (cells / "1dots.png").unlink()
    (cells / "2cell.png").write_bytes(b"")
    outcome = run("check", "dots", cells)
    assert outcome.code == 1
    assert "images without annotation  1: 1cell.png" in outcome.out
    assert "    2cell.png: expected an image" in outcome.out


def test_json_is_the_whole_report(run: Run, cells: Path) -> None:
    outcome = run("check", "dots", cells, "--json", "--data-option", "outside=clamp")
    report = json.loads(outcome.out)
    assert outcome.code == 0
    assert report["counts"] == {"images": 3, "min": 1, "mean": 2.0, "max": 3, "total": 6}
    assert report["options"] == {"outside": "clamp"} and report["problems"] == []


def test_sheet_is_written(run: Run, cells: Path) -> None:
    file = cells / "sheet.png"
    outcome = run("check", "dots", cells, "--sheet", file)
    assert outcome.code == 0 and outcome.err == f"wrote {file}\n"
    assert cv2.imread(str(file)) is not None


def test_split_and_part_reach_the_data_set(run: Run, tmp_path: Path) -> None:
    outcome = run("check", "shanghaitech", tmp_path, "--part", "B", "--split", "test")
    assert outcome.code == 2
    assert "part_B/test_data/images: expected a folder" in outcome.err


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Kind -> a clean folder of it."""
    for name in ("seg/images", "seg/labels", "cls/cat", "cls/dog"):
        (tmp_path / name).mkdir(parents=True)
    for number in range(2):
        picture = np.full((16, 16, 3), 40 + number, np.uint8)
        cv2.imwrite(str(tmp_path / "seg" / "images" / f"{number}.png"), picture)
        labels = np.eye(16, dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "seg" / "labels" / f"{number}.png"), labels)
        cv2.imwrite(str(tmp_path / "cls" / ("cat", "dog")[number] / "0.png"), picture)
    return {"segmentation": tmp_path / "seg", "classification": tmp_path / "cls"}


@pytest.mark.parametrize("kind", ["segmentation", "classification"])
def test_folders_of_the_other_tasks_are_checked_the_same_way(
    run: Run, folders: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    sheet = tmp_path / "sheet.png"
    clean = run("check", kind, folders[kind], "--sheet", sheet)
    assert clean.code == 0 and clean.err == f"wrote {sheet}\n"
    assert clean.out.startswith(f"{kind}: {folders[kind]}\n") and "no problems" in clean.out
    assert cv2.imread(str(sheet)) is not None
    image = sorted(folders[kind].rglob("0.png"))[0]
    image.write_bytes(image.read_bytes()[:-30])
    broken = run("check", kind, folders[kind], "--json")
    report = json.loads(broken.out)
    assert broken.code == 1 and report["problems"] == ["unreadable_images"]
    assert list(report["facts"]["unreadable_images"]) == [
        image.relative_to(folders[kind]).as_posix()
    ]
    wrong = run("check", kind, folders[kind], "--part", "A")
    assert wrong.code == 2 and f"{kind}: unknown field 'part'" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dots", "{root}/no"], "no: expected a folder"),
        (["dots", "{root}", "--split", "train"], "split"),
        (["dots", "{root}", "--data-option", "size"], "expected KEY=VALUE"),
        (["dots", "{root}", "--data-option", "a=1", "--data-option", "a=2"], "a is given twice"),
        (["dots", "{root}", "--data-option", "dots_suffix=5"], "dots_suffix"),
        (["shanghaitech", "{root}"], "ShanghaiTechDataset: field 'part' is missing"),
        (["shanghaitech", "{root}", "--part", "C"], "found 'C'"),
        (["nothing", "{root}"], "one of shanghaitech, qnrf, jhu, nwpu, dots, points or"),
        (["counting", "{root}"], "points.csv"),
        (["dots", "{root}", "--sheet", "x.gif"], "--sheet: expected the name of a .png file"),
        (
            ["dots", "{root}", "--sheet", "no/x.png"],
            "--sheet: expected a file in a folder that ex",
        ),
        (["dots"], "required: DATA_ROOT"),
    ],
)
def test_wrong_usage_is_code_2_and_one_line(
    run: Run, cells: Path, arguments: list[str], message: str
) -> None:
    outcome = run("check", *(argument.format(root=cells) for argument in arguments))
    assert outcome.code == 2 and not outcome.out
    assert outcome.err.startswith("error: ") and message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("task", ["segmentation", "crowd_counting"])
def test_augmented_samples_are_drawn_before_training(run: Run, tmp_path: Path, task: str) -> None:
    sheet, few = tmp_path / "sheet.png", ("--cfg-options", "train_dataloader.dataset.length=4")
    done = run("augment", CONFIGS / task / "toy.py", "--out", sheet, "--samples", 4, *few)
    assert done.code == 0 and done.err == f"wrote {sheet}\n"
    assert cv2.imread(str(sheet)) is not None


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("classification/toy.py", [], "found ImageClassifier"),
        ("segmentation/toy.py", ["--out", "sheet.gif"], "--out: expected the name of a .png file"),
        ("segmentation/toy.py", ["--cfg-options", "train_dataloader.dataset.typo=1"], "'typo'"),
        ("segmentation/toy.py", ["--samples", "0"], "--samples: expected a whole number >= 1"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_is_one_line(
    run: Run, tmp_path: Path, config: str, options: list[str], message: str
) -> None:
    done = run("augment", CONFIGS / config, "--out", tmp_path / "sheet.png", *options)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1
