"""How long a training takes, by a few of its iterations."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, ValLoop

from ean_transfer.engine.timing import TIMED, WARM_UP, time_iterations
from tests.engine.noisy import SignalAt  # noqa: F401 - registered


@HOOKS.register_module()
class Told(Hook):
    """Says how many seconds each iteration took, as mmengine's timer would."""

    def __init__(self, seconds: list[float]) -> None:
        self.seconds = seconds

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        runner.message_hub.update_scalar("train/time", self.seconds[runner.iter])


def test_the_first_iterations_are_not_counted_and_a_slow_one_does_not_matter(toy) -> None:
    cfg = toy("classification/toy")
    seconds = [90.0] * WARM_UP + [1.0, 2.0, 3.0, 4.0, 80.0]
    cfg.custom_hooks = [dict(type="Told", seconds=seconds, priority="LOW")]
    pace = time_iterations(cfg)
    assert len(seconds) == WARM_UP + TIMED and pace.seconds == 3.0
    assert pace.whole == 3.0 * pace.iterations


def test_a_training_in_epochs_and_one_in_iterations(toy) -> None:
    cfg = toy("classification/toy")
    cfg.train_cfg.max_epochs = 3
    before = cfg.to_dict()
    pace = time_iterations(cfg)
    assert cfg.to_dict() == before
    assert pace.iterations == 3 * 64 // 16 > TIMED
    assert 0 < pace.seconds < 60
    cfg.train_cfg = dict(by_epoch=False, max_iters=12_345, val_interval=100)
    assert time_iterations(cfg).iterations == 12_345


def test_nothing_is_validated_and_no_hooks_are_needed(
    toy, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setattr(ValLoop, "run", lambda _: pytest.fail("validated"))
    cfg = toy("classification/toy")
    cfg.pop("default_hooks", None)
    cfg.custom_hooks = [dict(type="FreezeNormHook", begin=1000)]
    assert time_iterations(cfg).seconds > 0
    assert not any("FreezeNormHook" in line for line in log_lines)


@pytest.mark.parametrize("begin", [dict(begin_epoch=2), dict(begin_iter=9)])
def test_averaging_that_begins_late_is_timed(toy, begin: dict[str, int]) -> None:
    cfg = toy("classification/toy", **{"train_cfg.max_epochs": 3})
    cfg.custom_hooks = [dict(type="EMAHook", **begin)]
    before = cfg.to_dict()
    assert time_iterations(cfg).iterations == 12
    assert cfg.to_dict() == before


def test_between_epochs_of_one_batch_is_no_pause(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = toy("classification/toy")
    cfg.train_dataloader.dataset.length = 16  # images, all in one batch
    pauses: list[float] = []
    monkeypatch.setattr("mmengine.runner.loops.time.sleep", pauses.append)
    assert time_iterations(cfg).iterations == 1
    assert not pauses  # mmengine's loop sleeps where an epoch ends


def test_ctrl_c_ends_it_without_advice_to_resume(toy, capfd: pytest.CaptureFixture[str]) -> None:
    cfg = toy("classification/toy")
    cfg.custom_hooks = [dict(type="SignalAt", at=3, number=int(signal.SIGINT))]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            time_iterations(cfg)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "resume" not in capfd.readouterr().err
