"""Masks trained from scratch: which, once, and only where the result is a top-1 accuracy."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ground_truth import GroundTruth, sampled_masks, train_from_scratch
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.ticket.mask import mask_of
from tests.helpers import ROOT


def test_sampled_masks_have_all_numbers_of_connections() -> None:
    masks = sampled_masks(9, 24)
    assert len(set(masks)) == 24 and masks == sampled_masks(9, 24)
    assert {0, 9} <= {sum(mask) for mask in masks} and len({sum(mask) for mask in masks}) >= 6
    with pytest.raises(ConfigError, match="2 to 64 masks .*65"):
        sampled_masks(6, 65)


@pytest.mark.slow
def test_trains_masks_once_and_keeps_what_is_done(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    masks, folder = [mask_of("000000"), mask_of("101100")], tmp_path / "truth"
    truth = train_from_scratch(cfg, masks, [0, 1], folder)
    assert truth.masks == ["000000", "101100"] and truth.seeds == [0, 1]
    assert truth.network["attention"]["type"] == "SE"

    (folder / "seed0_101100.json").write_text('{"accuracy": 12.3456789}')  # is not trained again
    again = train_from_scratch(cfg, masks, [0, 1], folder)
    assert again.accuracy["101100"] == {0: 12.3457, 1: truth.accuracy["101100"][1]}
    cfg.optim_wrapper.optimizer.lr = 0.01
    with pytest.raises(ConfigError, match=f"{folder}.*another"):
        train_from_scratch(cfg, masks, [0, 1], folder)


@pytest.mark.parametrize("name", ["truth_toy", "truth_cifar10"])
def test_published_files_are_read_and_written(name: str, tmp_path: Path) -> None:
    truth = GroundTruth.load(ROOT / "docs/results" / f"{name}.json")
    assert len(truth.masks) >= 24 and len(truth.seeds) >= 2
    assert GroundTruth.load(truth.save(tmp_path / "copy.json")) == truth


def test_a_file_that_is_no_ground_truth_is_named(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text("[]")
    with pytest.raises(DataError, match="truth.json: no ground truth"):
        GroundTruth.load(tmp_path / "truth.json")


@pytest.mark.parametrize(
    ("config", "changes", "metric"),
    [
        ("segmentation/toy", {}, "IoUMetric"),
        ("classification/toy", {"test_evaluator.topk": (5,)}, "Accuracy"),
        ("classification/toy", {"test_evaluator": None}, "none"),
    ],
    ids=str,
)
def test_configs_without_top1_accuracy_are_refused_before_training(
    toy, tmp_path: Path, config: str, changes: dict, metric: str
) -> None:
    cfg = toy(config, **changes)
    with pytest.raises(ConfigError, match=f"Accuracy with 1 in its topk, found .*{metric}"):
        train_from_scratch(cfg, [mask_of("111111")], [0], tmp_path / "truth")
    assert not (tmp_path / "truth").exists()
