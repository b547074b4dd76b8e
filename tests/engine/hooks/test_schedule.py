"""Schedules of trainings that go on for longer than was planned."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ean_transfer.engine.training import train


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings that loggers get."""
    lines: list[str] = []
    monkeypatch.setattr(logging.Logger, "warning", lambda self, text, *_: lines.append(str(text)))
    return lines


def cosine(epochs: int) -> list[dict[str, Any]]:
    return [dict(type="CosineAnnealingLR", T_max=epochs, end=epochs, convert_to_iter_based=True)]


def poly(epochs: int) -> list[dict[str, Any]]:
    return [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=2),
        dict(type="PolyLR", by_epoch=False, begin=2, end=16 * epochs),
    ]


def one_cycle(epochs: int) -> list[dict[str, Any]]:
    total = dict(total_steps=epochs, end=epochs, convert_to_iter_based=True)
    return [dict(type="OneCycleLR", eta_max=0.1, **total)]


@pytest.fixture
def scheduled(toy):
    """A toy training of some epochs of 16 batches, by a schedule."""

    def load(epochs: int, schedule: list[dict[str, Any]]) -> Any:
        cfg = toy("classification/toy")
        cfg.train_cfg.max_epochs = epochs
        cfg.train_dataloader.batch_size = 4
        cfg.param_scheduler = schedule
        return cfg

    return load


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [cosine, poly])
def test_a_longer_schedule_is_followed_from_where_the_training_is(
    scheduled, tmp_path: Path, said: list[str], schedule
) -> None:
    train(scheduled(1, schedule(1)), tmp_path, quiet=True)
    assert not any("ends at" in line for line in said)
    whole = train(scheduled(2, schedule(3)), tmp_path / "whole", quiet=True)
    resumed = train(scheduled(2, schedule(3)), tmp_path, resume=True, quiet=True)
    rates = [runner.optim_wrapper.get_lr()["lr"][0] for runner in (whole, resumed)]
    assert rates[0] == pytest.approx(rates[1]) and rates[0] > 0.01
    assert sum("are the config's" in line for line in said) == 1


@pytest.mark.parametrize("schedule", [lambda epochs: [], cosine, poly])
def test_another_rate_is_taken_when_a_training_is_resumed(
    scheduled, tmp_path: Path, said: list[str], schedule
) -> None:
    train(scheduled(1, schedule(3)), tmp_path, quiet=True)
    lower = scheduled(2, schedule(3))
    lower.optim_wrapper.optimizer.lr /= 4
    whole = train(lower, tmp_path / "whole", quiet=True)
    resumed = train(lower, tmp_path, resume=True, quiet=True)
    rates = [runner.optim_wrapper.get_lr()["lr"][0] for runner in (whole, resumed)]
    assert rates[0] == pytest.approx(rates[1])
    assert sum("are the config's" in line for line in said) == 1


def warm_up(_: int) -> list[dict[str, Any]]:
    return [dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=100)]


@pytest.mark.parametrize(("batch_size", "schedule"), [(2, cosine), (16, cosine), (16, warm_up)])
def test_other_batches_follow_the_schedule_from_the_same_epoch(
    scheduled, tmp_path: Path, batch_size: int, schedule
) -> None:
    train(scheduled(1, schedule(3)), tmp_path, quiet=True)
    cfg = scheduled(2, schedule(3))
    cfg.train_dataloader.batch_size = batch_size
    cfg.optim_wrapper.accumulative_counts = 2
    whole = train(cfg, tmp_path / "whole", quiet=True)
    resumed = train(cfg, tmp_path, resume=True, quiet=True)
    assert resumed.iter == whole.iter == 2 * 64 // batch_size
    rates = [runner.optim_wrapper.get_lr()["lr"][0] for runner in (whole, resumed)]
    assert rates[0] == pytest.approx(rates[1])


@pytest.mark.parametrize("schedule", [cosine, poly])
def test_a_rate_that_vanishes_before_the_end_is_said(
    scheduled, tmp_path: Path, said: list[str], schedule
) -> None:
    train(scheduled(2, schedule(1)), tmp_path, quiet=True)
    assert sum("ends at 50% of the training" in line for line in said) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "schedule",
    [
        [dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=2)],  # only a warm-up
        [dict(type="MultiStepLR", milestones=[1], gamma=0.1)],
        [],
    ],
)
def test_other_schedules_need_no_word(
    scheduled, tmp_path: Path, said: list[str], schedule: list[dict[str, Any]]
) -> None:
    train(scheduled(1, schedule), tmp_path, quiet=True)
    train(scheduled(2, schedule), tmp_path, resume=True, quiet=True)
    assert not any("ends at" in line for line in said)


def test_a_schedule_that_holds_a_function_is_resumed(
    scheduled, tmp_path: Path, said: list[str]
) -> None:
    whole = train(scheduled(2, one_cycle(3)), tmp_path / "whole", quiet=True)
    train(scheduled(1, one_cycle(3)), tmp_path, quiet=True)
    resumed = train(scheduled(2, one_cycle(3)), tmp_path, resume=True, quiet=True)
    rates = [runner.optim_wrapper.get_lr()["lr"][0] for runner in (whole, resumed)]
    assert rates[0] == rates[1] > 0.01
    assert not any("are the config's" in line for line in said)
