"""What a counting study leaves behind, read and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ean_transfer.analysis.counting_figure import (
    draw_counting,
    draw_sheet,
    read_runs,
    worst_images,
)
from ean_transfer.errors import DataError

# true and predicted counts of three images, of two runs of each arm
COUNTS = {
    "none": [[(10, 12.0), (20, 20.0), (30, 26.0)], [(10, 10.0), (20, 21.0), (30, 30.0)]],
    "ticket": [[(10, 10.0), (20, 20.0), (30, 31.0)], [(10, 10.0), (20, 17.0), (30, 30.0)]],
}


@pytest.fixture
def task_folder(tmp_path: Path) -> Path:
    for arm, seeds in COUNTS.items():
        for seed, images in enumerate(seeds):
            folder = tmp_path / arm / f"seed{seed}"
            (folder / "20260101" / "vis_data").mkdir(parents=True)
            (folder / "metrics.json").write_text("{}")
            rows = [
                f"{i}.png,{true},{predicted},{predicted - true}"
                for i, (true, predicted) in enumerate(images)
            ]
            table = ["image,true,predicted,error", *rows]
            (folder / "counts.csv").write_text("\n".join(table) + "\n")
            scalars = [
                {"loss": 3.0, "step": 1},
                {"MAE": 9.0 + seed, "step": 10},
                {"MAE": 2.0 + seed, "step": 20},
                {"MAE": 1.5, "step": 0},  # of the test
            ]
            (folder / "20260101" / "vis_data" / "scalars.json").write_text(
                "\n".join(map(json.dumps, scalars))
            )
    unfinished = tmp_path / "full" / "seed0"
    unfinished.mkdir(parents=True)
    return tmp_path


def test_runs_are_read_by_arm_and_unfinished_ones_left_out(task_folder: Path) -> None:
    runs = read_runs(task_folder)
    assert {arm: len(several) for arm, several in runs.items()} == {"none": 2, "ticket": 2}
    assert runs["none"][1].steps == (10, 20)
    assert runs["none"][1].val_mae == (10.0, 3.0)
    assert [image.error for image in runs["none"][0].counts] == [2.0, 0.0, 4.0]


def test_worst_images_have_the_largest_mean_error(task_folder: Path) -> None:
    # Image 0: (2 + 0 + 0 + 0) / 4, image 1: (0 + 1 + 0 + 3) / 4, image 2: (4 + 0 + 1 + 0) / 4.
    assert worst_images(read_runs(task_folder), 2) == ["2.png", "1.png"]


def test_draws_runs_and_a_sheet(task_folder: Path) -> None:
    figure = cv2.imread(str(draw_counting(read_runs(task_folder), task_folder / "figure.png")))
    assert figure.shape[1] == 1200 and figure.std() > 10
    pictures = [
        {"a": np.full((50, 100, 3), 200, np.uint8), "b": np.full((90, 90, 3), 100, np.uint8)},
        {"c": np.full((20, 40, 3), 50, np.uint8)},
    ]
    sheet = cv2.imread(str(draw_sheet(pictures, task_folder / "sheet.png", width=60)))
    assert sheet.shape == ((24 + 60 + 4) + (24 + 30 + 4), 2 * 64, 3)
    assert (sheet[30, 30] == 200).all() and (sheet[30, 94] == 100).all()
    assert (sheet[88 + 30, 30] == 50).all() and not sheet[88 + 30, 94].any()


def test_folder_without_runs_or_tables_is_refused(task_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected finished runs"):
        read_runs(tmp_path / "nothing")
    (task_folder / "none" / "seed0" / "counts.csv").unlink()
    with pytest.raises(DataError, match="test_evaluator needs csv_file"):
        read_runs(task_folder)
