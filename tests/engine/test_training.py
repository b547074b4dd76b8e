"""Trainings: started from weights, resumed, evaluated."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ean_transfer.attachment.network import find_backbone
from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.engine.config import load_config, set_ticket_of
from ean_transfer.engine.training import evaluate, train
from ean_transfer.errors import ConfigError, EANError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.ticket import TicketError

STILL = {"optim_wrapper.optimizer.lr": 0.0}


def test_training_starts_from_the_given_weights(toy, trained: Path, tmp_path: Path) -> None:
    cfg = toy("crowd_counting/toy", **STILL)
    set_ticket_of(cfg, trained)
    runner = train(cfg, tmp_path / "counting", weights=trained)
    theirs = read_checkpoint(trained)["state_dict"]
    ours = find_backbone(runner.model).state_dict()
    assert torch.equal(ours["conv1.weight"], theirs["backbone.conv1.weight"])


@pytest.mark.parametrize("update_buffers", [True, False])
def test_what_is_tested_after_a_training_is_what_was_saved(
    toy, tmp_path: Path, update_buffers: bool
) -> None:
    average = dict(type="EMAHook", momentum=0.02, update_buffers=update_buffers)
    cfg = toy("crowd_counting/toy", custom_hooks=[average])
    runner = train(cfg, tmp_path / "trained")
    checkpoint = read_checkpoint(last_checkpoint(tmp_path / "trained"))
    tested = runner.test()
    raw = checkpoint["ema_state_dict"]["module.backbone.conv1.weight"]
    ours = runner.model.state_dict()
    assert not torch.equal(ours["backbone.conv1.weight"], raw)
    for name, value in checkpoint["state_dict"].items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=0)
    assert tested == evaluate(cfg, last_checkpoint(tmp_path / "trained"), tmp_path / "tested")


def test_weights_beside_those_of_the_config_are_refused(toy, trained: Path, tmp_path: Path) -> None:
    cfg = toy("classification/toy", load_from="own.pth")
    with pytest.raises(ConfigError, match=r"start with, but the config has load_from='own.pth'"):
        train(cfg, tmp_path / "work", weights=trained)


def test_the_config_in_a_work_dir_is_that_of_the_training(toy, tmp_path: Path) -> None:
    toy("classification/toy", **STILL).dump(tmp_path / "toy.py")
    cfg = load_config(tmp_path / "toy.py")
    train(cfg, tmp_path / "a", seed=7)
    file = tmp_path / "a" / "toy.py"
    other = copy.deepcopy(cfg)
    other.model.head.num_classes = 9
    with pytest.raises(EANError):
        evaluate(other, tmp_path / "a" / "epoch_1.pth", tmp_path / "a")
    written = file.read_text()
    assert "num_classes=9" not in written and "seed=7" in written
    cfg.train_cfg.max_epochs = 2
    runner = train(cfg, tmp_path / "a", resume=True)
    written = Config.fromfile(file)
    assert written.train_cfg.max_epochs == 2
    assert (written.load_from, written.resume) == (None, False)
    assert runner.seed == 7  # with the order of the images that it began with
    with pytest.raises(ConfigError, match="began with seed 7, found 8: continue it"):
        train(cfg, tmp_path / "a", resume=True, seed=8)


def test_evaluate_takes_the_checkpoints_ticket_or_refuses_anothers(
    toy, trained: Path, tmp_path: Path
) -> None:
    cfg = toy("classification/toy")
    before = cfg.to_dict()
    metrics = evaluate(cfg, trained, tmp_path / "test")
    assert 0.0 <= metrics["accuracy/top1"] <= 100.0
    with pytest.raises(TicketError, match="was trained with ticket 10 01 00"):
        evaluate(cfg, trained, tmp_path / "test", use_its_ticket=False)
    assert cfg.to_dict() == before  # the caller's config is left as it is


@pytest.mark.parametrize("part", ["test_dataloader", "test_cfg", "test_evaluator"])
def test_a_config_without_a_test_is_not_evaluated(toy, tmp_path: Path, part: str) -> None:
    with pytest.raises(ConfigError, match=f"toy.py: expected test_dataloader, .*found no {part}"):
        evaluate(toy("classification/toy", **{part: None}), "gone.pth", tmp_path)


def test_a_copied_folder_resumes_from_its_own_checkpoint(toy, tmp_path: Path) -> None:
    train(toy("classification/toy", **STILL), tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")  # with the path of a's checkpoint on record
    weights = read_checkpoint(tmp_path / "b" / "epoch_1.pth")
    weights["state_dict"]["backbone.conv1.weight"] += 1.0
    torch.save(weights, tmp_path / "b" / "epoch_1.pth")
    cfg = toy("classification/toy", load_from="elsewhere.pth", **STILL)
    cfg.train_cfg.max_epochs = 2
    runner = train(cfg, tmp_path / "b", resume=True)
    assert runner.epoch == 2 and (tmp_path / "b" / "epoch_2.pth").exists()
    expected = weights["state_dict"]["backbone.conv1.weight"]
    assert torch.equal(find_backbone(runner.model).conv1.weight, expected)
