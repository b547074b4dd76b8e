"""A test metric on the training, validation or test images."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.dataset import ConcatDataset
from mmengine.evaluator import DumpResults
from mmengine.registry import MODELS

from ean_transfer.analysis.scoring import metric_on
from ean_transfer.engine.runner import build_runner
from ean_transfer.errors import ConfigError


@pytest.mark.parametrize("task", ["classification", "segmentation", "crowd_counting"])
def test_is_the_metric_that_testing_gives(
    toy, tmp_path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    metric = {"classification": "accuracy/top1", "segmentation": "mIoU", "crowd_counting": "MAE"}
    cfg = toy(f"{task}/toy", **{"test_dataloader.dataset.length": 12})
    runner = build_runner(cfg, tmp_path)
    model = runner.model
    expected = runner.test()[metric[task]]
    dump = dict(type=DumpResults, out_file_path="results.pkl")
    cfg.test_evaluator = [cfg.test_evaluator, dump]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    score = metric_on(cfg, "test", metric[task])
    model.train()
    assert score(model) == pytest.approx(expected, rel=1e-5)
    assert model.training
    assert score(model) == pytest.approx(expected, rel=1e-5)  # nothing is left of the first time
    assert list(Path().iterdir()) == []


def test_training_images_are_read_as_test_images_are(toy) -> None:
    cfg = toy("classification/toy")
    cfg.train_dataloader.dataset.pipeline = []  # would give no inputs
    score = metric_on(cfg, "train", images=10)
    again, other = metric_on(cfg, "train", images=10), metric_on(cfg, "train", images=10, seed=1)
    assert score.images == 10
    images = [torch.stack(s.batches[0]["inputs"]) for s in (score, again, other)]
    assert images[0].equal(images[1]) and not images[0].equal(images[2])
    assert 0 <= score(MODELS.build(cfg.model)) <= 100


def test_data_sets_one_after_another(toy) -> None:
    cfg = toy("classification/toy")
    one = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type=ConcatDataset, datasets=[one, one])
    assert metric_on(cfg, "train").images == 2 * 64


def test_nothing_is_chosen_by_test_data(toy) -> None:
    cfg = toy("classification/toy")
    cfg.val_dataloader = copy.deepcopy(cfg.test_dataloader)
    cfg.val_dataloader.dataset.pipeline = [*cfg.test_dataloader.dataset.pipeline, dict(type="x")]
    with pytest.raises(ConfigError, match="validation data are the test data"):
        metric_on(cfg, "val")


def test_says_what_is_wrong(toy) -> None:
    cfg = toy("classification/toy")
    model = MODELS.build(cfg.model)
    with pytest.raises(ConfigError, match=r"expected a metric of \['accuracy/top1'\], found 'mIo"):
        metric_on(cfg, "test", "mIoU", images=4)(model)
    with pytest.raises(ConfigError, match="part: .*'train', 'val' or 'test', found 'tset'"):
        metric_on(cfg, "tset")
    cfg.pop("val_dataloader")
    with pytest.raises(ConfigError, match=r"toy\.py: .* found no val_dataloader"):
        metric_on(cfg, "val")
