"""``tools/dataset.py convert`` as its user meets it: what is printed, where, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.data.conversion.formats import write_coco, write_images

Run = Callable[..., Any]


@pytest.fixture
def run(run_tool: Run) -> Run:
    return partial(run_tool, "dataset", "convert")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def check(run_tool: Run, line: str, tmp_path: Path) -> Any:
    """Run the command that a conversion printed."""
    words = line.replace("sheet.png", str(tmp_path / "sheet.png")).split()
    assert words[:3] == ["next", "ean", "dataset"]
    return run_tool("dataset", *words[3:])


@pytest.mark.parametrize("task", ["counting", "segmentation"])
def test_the_printed_command_checks_the_result(
    run: Run, run_tool: Run, images: Path, tmp_path: Path, task: str
) -> None:
    source = write_coco(tmp_path / "coco.json", task == "counting")
    done = run(task, source, "--images", images)
    assert done.code == 0 and not done.err
    lines = [line.strip() for line in done.out.splitlines()]
    assert lines[0] == f"{source}: coco" and lines[2].endswith("3 of 3 with annotation")
    checked = check(run_tool, lines[-1], tmp_path)
    assert checked.code == 0 and "no problems" in checked.out


def test_class_folders_are_checked_by_the_printed_command(
    run: Run, run_tool: Run, images: Path, tmp_path: Path
) -> None:
    for number, file in enumerate(sorted(images.rglob("*.*"))):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(file)
    source = tmp_path / "labels.csv"
    source.write_text("image,what\nb.png,cat\nc.d.jpg,dog\n")
    options = ("--images", images, "--out-dir", tmp_path / "out", "--column", "label=what")
    dry = run("classification", source, *options, "--dry-run")
    assert dry.code == 0 and "would write" in dry.out and not (tmp_path / "out").exists()
    done = run("classification", source, *options)
    assert (
        done.code == 0 and "no annotation              1, in no class: street/a 1.JPG" in done.out
    )
    assert check(run_tool, done.out.splitlines()[-1].strip(), tmp_path).code == 0


def test_json_is_the_whole_report(run: Run, images: Path, tmp_path: Path) -> None:
    source = write_coco(tmp_path / "coco.json", True)
    done = run("counting", source, "--images", images, "--json", "--dry-run")
    report = json.loads(done.out)
    assert report["format"] == "coco" and report["dry_run"] is True
    assert report["written"] == "3 points" and report["classes"] == {"person": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["counting", "{root}/no.csv"], "no.csv: expected a file or a folder"),
        (["counting", "{root}/images", "--images", "{root}/none"], "none: expected the folder of"),
        (["counting", "{root}/images", "--column", "x"], "expected KEY=VALUE"),
        (["counting", "{root}/images", "--column", "z=a"], "convert: columns"),
        (["counting", "{root}/images", "--column", "x=a", "--column", "x=b"], "x is given twice"),
        (["segmentation", "{root}/images", "--relative"], "--relative is for counting"),
        (["counting", "{root}/images", "--rest", "ignore"], "--rest is for segmentation"),
        (["crowds", "{root}"], "expected one of counting"),
        (["classification", "{root}/images"], "name it with --out-dir"),
        (["segmentation", "{root}/images", "--from", "csv"], "--from: expected one of class-masks"),
        (["counting", "{root}/images", "--out-dir", "{root}/images/street"], "one around it"),
        (["segmentation", "{root}/images", "--table", "{root}/t.csv"], "t.csv: no such file"),
    ],
)
def test_wrong_usage_is_code_2_and_one_line(
    run: Run, images: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    outcome = run(*(argument.format(root=tmp_path) for argument in arguments))
    assert outcome.code == 2 and not outcome.out
    assert outcome.err.startswith("error: ") and message in outcome.err
    assert outcome.err.count("\n") == 1
