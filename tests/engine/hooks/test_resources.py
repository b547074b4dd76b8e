"""What a training takes, added up over the sessions it was resumed in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub

from ean_transfer.engine.hooks import resources
from ean_transfer.engine.hooks.resources import ResourceHook, training_cost


@pytest.fixture
def runner() -> Any:
    hub = MessageHub.get_instance("test_resources")
    hub.runtime_info.clear()
    logger = SimpleNamespace(info=lambda text, **_: said.append(text))
    said: list[str] = []
    return SimpleNamespace(message_hub=hub, iter=0, max_iters=3, logger=logger, said=said)


def session(runner: Any, seconds: list[float]) -> None:
    hook = ResourceHook()
    hook.before_train(runner)
    for index, value in enumerate(seconds):
        runner.message_hub.update_scalar("train/time", value)
        hook.after_train_iter(runner, index)
        runner.iter += 1


def test_seconds_add_up_and_the_peak_is_kept(runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_peak_memory", lambda: 7_000_000)
    assert training_cost(runner).seconds is None
    runner.max_iters = 2
    session(runner, [1.5, 2.0])
    runner.max_iters = 3  # resumed: the runtime info comes from the checkpoint
    monkeypatch.setattr(resources, "_peak_memory", lambda: 5_000_000)
    session(runner, [4.0])
    cost = training_cost(runner)
    assert cost.seconds == pytest.approx(7.5) and cost.peak_memory == 7_000_000
    ResourceHook().after_train(runner)
    assert runner.said == ["trained     0.1 min in iterations, peak memory 7 MB"]


def test_where_the_system_does_not_say_there_is_no_peak(
    runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_peak_memory", lambda: None)
    session(runner, [1.0, 1.0, 1.0])
    assert training_cost(runner).peak_memory is None
    assert str(training_cost(runner)) == "0.1 min in iterations"


def test_the_memory_is_that_of_the_chosen_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 123)
    for device, is_cuda in (("cpu", False), ("cuda", True)):
        monkeypatch.setattr("mmengine.device.utils.DEVICE", device)
        assert (resources._peak_memory() == 123) == is_cuda
