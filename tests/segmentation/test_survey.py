"""Labels that cannot be meant are refused before the first iteration; odd ones are logged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config, ConfigDict
from mmengine.dataset import ConcatDataset, DefaultSampler, RepeatDataset

from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.training import train
from ean_transfer.errors import DataError
from ean_transfer.segmentation import CheckedSegDataset, survey
from ean_transfer.segmentation.survey import survey_labels
from tests.segmentation.helpers import LABEL, PREFIX, TRAIN, ZEROS, open_dataset, saves

HALF = np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)[None].repeat(48, axis=0)
TWO = {"classes": ("ground", "cell")}


def label(root: Path, *values: np.ndarray) -> None:
    for number, labels in enumerate(values):
        saves(labels)(root / f"train/labels/{number}.png")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(survey, "print_log", lambda text, **_: texts.append(text))
    return texts


def test_pixels_are_counted_by_class_and_share(root: Path) -> None:
    label(root, HALF, ZEROS + 1, ZEROS + 255)
    result = open_dataset(root, metainfo=TWO).survey()
    assert result.pixels[[0, 1, 255]].tolist() == [24 * 64, 48 * 64, 72 * 64]
    assert result.absent == [] and result.ignored == 0.5
    assert result.all_ignored == (str(root / "train/labels/2.png"),)


def test_a_sample_is_read_unless_it_is_of_one_class(root: Path) -> None:
    label(root, HALF, ZEROS + 1, HALF)
    dataset = open_dataset(root, metainfo=TWO)
    samples = [dataset.get_data_info(index) for index in range(3)]
    assert survey_labels(samples, TWO["classes"], limit=2).files == 3
    label(root, HALF, HALF, ZEROS + 1)
    assert survey_labels(samples, TWO["classes"], limit=2).files == 2


def test_a_wrong_label_is_named(root: Path) -> None:
    dataset = open_dataset(root)
    for values, problem in ((ZEROS + 5, "found 5"), (ZEROS + np.uint16(300), "found 300")):
        saves(values)(root / LABEL)
        with pytest.raises(DataError, match=rf"{LABEL}: expected labels 0-4, 255, {problem}"):
            dataset.survey()


def training(cfg: Config, dataset: dict[str, Any], classes: int) -> Config:
    cfg.train_dataloader = ConfigDict(
        batch_size=3, num_workers=0, sampler=dict(type=DefaultSampler), dataset=dataset
    )
    cfg.model.decode_head.num_classes = classes
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    return cfg


def part(root: Path, **options: Any) -> dict[str, Any]:
    common = {"data_root": str(root), "data_prefix": PREFIX, "metainfo": TWO, "pipeline": TRAIN}
    return {"type": CheckedSegDataset, **common, **options}


def test_masks_of_0_and_255_are_refused_before_the_first_iteration(
    root: Path, toy, tmp_path: Path
) -> None:
    label(root, HALF, HALF, HALF)
    cfg = training(toy("segmentation/toy"), part(root), 2)
    line = r"expected .*two classes, found cell in none of 3 label files, where 50.0 % .* ignored"
    with pytest.raises(DataError, match=line):
        train(cfg, tmp_path / "run", quiet=True)
    assert not list(tmp_path.glob("run/*.pth"))


@pytest.mark.slow
def test_parts_of_a_data_set_are_judged_together(root: Path, toy, tmp_path: Path, logged) -> None:
    label(root, HALF, HALF, ZEROS + 1)
    (root / "first.txt").write_text("0\n1\n")
    (root / "second.txt").write_text("2\n")
    lists = [part(root, ann_file=name) for name in ("first.txt", "second.txt")]
    several = dict(type=ConcatDataset, datasets=lists)
    repeated = dict(type=RepeatDataset, times=2, dataset=several)
    train(training(toy("segmentation/toy"), repeated, 2), tmp_path / "run", quiet=True)
    assert logged == []


def test_classes_that_occur_nowhere_and_images_without_labels_are_logged(
    root: Path, logged: list[str]
) -> None:
    label(root, HALF, ZEROS + 1, ZEROS + 255)
    open_dataset(root, metainfo={"classes": ("ground", "cell", "dust")}).survey().judge()
    absent, ignored = logged
    assert "dust in none of 3 label files, where 50.0 %" in absent
    assert ignored.startswith(f"{root}/train/labels/2.png: every pixel is ignored")


def test_reduce_zero_label_that_hides_a_class_is_found(root: Path) -> None:
    label(root, *[(HALF > 0).astype(np.uint8)] * 3)
    dataset = open_dataset(root, metainfo=TWO, reduce_zero_label=True)
    with pytest.raises(DataError, match="found cell in none of 3"):
        dataset.survey().judge()


def test_every_training_looks(toy, tmp_path: Path) -> None:
    hooks = [type(hook).__name__ for hook in build_runner(toy("segmentation/toy"), tmp_path).hooks]
    assert "LabelSurveyHook" in hooks
