"""How long a training takes, by a few of its iterations."""

from __future__ import annotations

import pytest
from mmengine.runner import ValLoop

from ean_transfer.engine.timing import TIMED, time_iterations


def test_a_training_in_epochs_and_one_in_iterations(toy) -> None:
    cfg = toy("classification/toy")
    cfg.train_cfg.max_epochs = 3
    before = cfg.to_dict()
    pace = time_iterations(cfg)
    assert cfg.to_dict() == before
    assert pace.iterations == 3 * 64 // 16 > TIMED
    assert pace.whole == pace.seconds * pace.iterations > 0
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
