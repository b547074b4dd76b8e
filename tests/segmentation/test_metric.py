"""Each class's IoU over all images of a test."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed as dist

from ean_transfer.segmentation import PerClassIoUMetric, metric


def test_each_class_has_its_iou_over_all_batches() -> None:
    metric = PerClassIoUMetric(iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": ("sky", "road", "pole", "ship")}
    # sky: 2 of 5 pixels; road: 4 of 6 pixels; pole: never found; ship: neither there nor said.
    for truth, guess in (
        ([0, 0, 0, 1, 1, 255], [0, 0, 1, 1, 0, 0]),
        ([0, 1, 1, 1, 2, 255], [1, 1, 1, 1, 0, 3]),
    ):
        sample = {
            "gt_sem_seg": {"data": torch.tensor([[truth]])},
            "pred_sem_seg": {"data": torch.tensor([[guess]])},
        }
        metric.process({}, [sample])
    scores = metric.evaluate(size=2)
    assert {name: value for name, value in scores.items() if name.startswith("IoU.")} == {
        "IoU.sky": pytest.approx(100 * 2 / 6, abs=0.01),
        "IoU.road": pytest.approx(100 * 4 / 7, abs=0.01),
        "IoU.pole": 0.0,
        "IoU.ship": pytest.approx(math.nan, nan_ok=True),
    }
    assert scores["mIoU"] == pytest.approx((100 * 2 / 6 + 100 * 4 / 7) / 3, abs=0.01)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(metric, "print_log", lambda text, **_: texts.append(text))
    return texts


def sample_of(number: int, truth: list[int], guess: list[int]) -> dict[str, Any]:
    return {
        "img_path": f"{number}.jpg",
        "gt_sem_seg": {"data": torch.tensor([[truth]])},
        "pred_sem_seg": {"data": torch.tensor([[guess]])},
    }


def scores_of(truths: Sequence[list[int]], guess: list[int], classes: Sequence[str]) -> dict:
    tested = PerClassIoUMetric(iou_metrics=["mIoU", "mDice", "mFscore"])
    tested.dataset_meta = {"classes": classes}
    for number, truth in enumerate(truths):
        tested.process({}, [sample_of(number, truth, guess)])
    return tested.evaluate(size=len(truths))


@pytest.mark.parametrize("classes", [("ground", "cell"), ("ground", "cell", "dust")])
def test_masks_of_0_and_255_never_give_100(logged: list[str], classes: Sequence[str]) -> None:
    scores = scores_of([[0, 0, 255, 255]], [0, 0, 1, 0], classes)
    means = [name for name in scores if name.startswith("m")]
    assert {"mIoU", "mAcc", "mDice", "mFscore"} <= set(means)
    assert all(math.isnan(scores[name]) for name in means) and math.isnan(scores["IoU.cell"])
    assert scores["IoU.ground"] == 100
    number = len(classes)
    assert any("no label is of cell" in line and f"of {number} classes" in line for line in logged)


def test_a_class_that_never_occurs_is_left_out_of_the_mean_and_named(logged: list[str]) -> None:
    scores = scores_of([[0, 0, 1, 1]], [0, 0, 0, 1], ("a", "b", "c"))
    assert scores["mIoU"] == pytest.approx((100 * 2 / 3 + 50) / 2, abs=0.01)
    assert math.isnan(scores["IoU.c"])
    assert logged == ["no label is of c, 1 of 3 classes"]
    assert scores_of([[0, 0, 0, 1]], [0, 0, 2, 1], ("a", "b", "c"))["IoU.c"] == 0


def test_one_class_alone_is_scored() -> None:
    assert scores_of([[0, 0, 255]], [0, 0, 0], ("a",))["mIoU"] == 100


def test_images_that_are_ignored_everywhere_are_named(logged: list[str]) -> None:
    nothing = [255, 255, 255]
    scores = scores_of([[0, 1, 1], nothing, nothing], [0, 1, 1], ("a", "b"))
    assert scores["mIoU"] == 100
    assert [line.partition(":")[0] for line in logged] == ["1.jpg (and 1 more)"]


def _evaluate_part(rank: int, folder: Path) -> None:
    """Evaluate every second of five images, as each of two processes does."""
    dist.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    os.chdir(folder)  # mmengine collects the results in a folder of the current one
    lines: list[str] = []
    tested = PerClassIoUMetric(iou_metrics=["mIoU"])
    tested.dataset_meta = {"classes": ("a", "b")}
    for number in range(5)[rank::2]:
        tested.process({}, [sample_of(number, [[0], [255], [1], [255], [0]][number], [0])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric, "print_log", lambda text, **_: lines.append(text))
        scores = tested.evaluate(size=5)
    (folder / str(rank)).write_text(json.dumps([scores, lines]))
    dist.destroy_process_group()


def test_images_that_another_process_ignores_are_named(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(
        _evaluate_part, (tmp_path,), nprocs=2, start_method="fork"
    )
    scores, lines = json.loads((tmp_path / "0").read_text())
    assert scores["IoU.a"] == pytest.approx(100 * 2 / 3, abs=0.01) and scores["IoU.b"] == 0
    assert [line.partition(":")[0] for line in lines] == ["1.jpg (and 1 more)"]


def test_every_pixel_of_an_image_larger_than_single_precision_counts() -> None:
    truth = torch.zeros(1, 4097, 4097, dtype=torch.uint8)  # more than 2^24 pixels
    guess = truth.long()
    guess[:, :97] = 1
    tested = PerClassIoUMetric(iou_metrics=["mIoU"])
    tested.dataset_meta = {"classes": ("ground", "road")}
    sample = {"gt_sem_seg": {"data": truth}, "pred_sem_seg": {"data": guess}}
    tested.process({}, [sample])
    intersection, union, guessed, labelled, _ = tested.results[0]
    assert intersection.tolist() == [4000 * 4097, 0]
    assert union.tolist() == [4097 * 4097, 97 * 4097]
    assert guessed.tolist() == [4000 * 4097, 97 * 4097]
    assert labelled.tolist() == [4097 * 4097, 0]
