"""A training that is stopped early says why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.engine.hooks.early_stop import EarlyStopHook


class Loop(BaseLoop):
    """A training's loop, of which the hook reads that it is one."""

    stop_training = False

    def __init__(self) -> None:
        pass

    def run(self) -> None:
        pass


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ([0.41, 0.5, 0.6], "2 validations without a better loss than 0.41"),
        ([0.41, float("nan")], "loss is nan"),
        ([0.41, 0.5, float("inf")], "loss is inf"),
    ],
)
def test_the_reason_is_said(losses: list[float], reason: str) -> None:
    said: list[str] = []
    logger = SimpleNamespace(info=lambda text, **_: said.append(text))
    loop = Loop()
    runner: Any = SimpleNamespace(_train_loop=loop, train_loop=loop, logger=logger)
    hook = EarlyStopHook(monitor="loss", rule="less", patience=2)
    for loss in losses:
        assert not loop.stop_training
        hook.after_val_epoch(runner, {"loss": loss})
    assert loop.stop_training and said[-1] == f"stopped     {reason}"
