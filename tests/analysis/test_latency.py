"""Time increments compare arms within a round."""

from __future__ import annotations

import torch
from torch import nn

from ean_transfer.analysis import latency
from ean_transfer.analysis.latency import time_increments


def test_ratios_are_taken_within_a_round(monkeypatch) -> None:
    # A machine that gets slower all the time; the second model takes half as long again.
    plain, attended = nn.Identity(), nn.Identity()
    calls = {id(plain): 0, id(attended): 0}

    def seconds(model: nn.Module, x: torch.Tensor) -> float:
        calls[id(model)] += 1
        return calls[id(model)] * (1.5 if model is attended else 1.0)

    monkeypatch.setattr(latency, "forward_seconds", seconds)
    increments = time_increments(
        {"none": plain, "full": attended}, torch.zeros(1), baseline="none", rounds=9
    )
    assert increments["none"].median == 0.0
    assert increments["full"].median == increments["full"].lower == increments["full"].upper == 0.5


def test_models_are_timed_in_eval_mode() -> None:
    modes: list[bool] = []
    model = nn.Identity().train()
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    time_increments({"a": model}, torch.zeros(4), baseline="a", rounds=2, warm_up=1)
    assert modes == [False] * 3
