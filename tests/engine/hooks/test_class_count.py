"""A head whose classes are not the data set's is refused before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ean_transfer.engine.config import load_config
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS


def reverse_classes(dataset: Any) -> None:
    dataset._metainfo["classes"] = dataset._metainfo["classes"][::-1]


def test_a_class_has_the_number_that_it_has_in_training(toy, tmp_path: Path) -> None:
    runner = build_runner(toy("classification/toy"), tmp_path / "train", quiet=True)
    reverse_classes(runner.val_dataloader.dataset)
    with pytest.raises(ConfigError, match="as in training, found 0 in the validation's"):
        runner.train()
    cfg = toy("classification/toy")
    train(cfg, tmp_path / "trained", quiet=True)
    cfg.load_from = str(tmp_path / "trained" / "epoch_1.pth")
    runner = build_runner(cfg, tmp_path / "test", quiet=True)
    reverse_classes(runner.test_dataloader.dataset)
    with pytest.raises(ConfigError, match="as in training, found 0 in the test's"):
        runner.test()


@pytest.mark.parametrize(
    ("task", "head", "classes"),
    [("segmentation", "decode_head", 7), ("classification", "head", 6)],
)
@pytest.mark.parametrize("wrong", [-1, 1])
def test_other_number_of_classes_is_one_line(
    task: str, head: str, classes: int, wrong: int, tmp_path: Path
) -> None:
    tiny = {f"{part}_dataloader.dataset.length": 4 for part in ("train", "val", "test")}
    number = {f"model.{head}.num_classes": classes + wrong}
    cfg = load_config(CONFIGS / task / "toy.py", tiny | number)
    runner = build_runner(cfg, tmp_path, quiet=True)
    message = f"model.{head} has num_classes={classes + wrong}, but .* has {classes} classes"
    for start in (runner.train, runner.test):
        with pytest.raises(ConfigError, match=message):
            start()
