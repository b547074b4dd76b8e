"""Timing forward passes: the one stopwatch, and how much slower attention makes a network.

Plain PyTorch, since the search's costs use it, too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn


def clock(device: torch.device) -> float:
    """Seconds, read once the device has finished the work it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def forward_seconds(model: nn.Module, x: Tensor) -> float:
    """Seconds of one forward pass, on the device of ``x``."""
    start = clock(x.device)
    model(x)
    return clock(x.device) - start


@dataclass(frozen=True)
class TimeIncrement:
    """Relative time increment over a baseline, I = (t - t_plain) / t_plain, as in the papers."""

    median: float  # share of the baseline's time: 0.1 is 10 % slower
    lower: float  # first quartile over the rounds
    upper: float  # third quartile
    seconds: float  # median time of one forward pass


@torch.inference_mode()
def time_increments(
    models: Mapping[str, nn.Module], x: Tensor, *, baseline: str, rounds: int = 40, warm_up: int = 3
) -> dict[str, TimeIncrement]:
    """Compare the models' forward times with that of one of them.

    Each round runs every model once, starting with another one each time. Ratios are taken within
    a round, so that a busy machine slows all models alike.

    Args:
        models: Modules by name, all taking ``x``; they are put in eval mode.
        x: Input (N, C, H, W), on the models' device.
        baseline: Name of the model to compare with.
        rounds: Number of times that every model runs, at least 2.
        warm_up: Number of rounds before that, which are not counted.

    Returns:
        The increment of each model, by name; the baseline's is 0.
    """
    names = list(models)
    for model in models.values():
        model.eval()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(warm_up + rounds):
        start = index % len(names)
        for name in names[start:] + names[:start]:
            elapsed = forward_seconds(models[name], x)
            if index >= warm_up:
                seconds[name].append(elapsed)
    increments = {}
    for name in names:
        ratios = [t / plain for t, plain in zip(seconds[name], seconds[baseline], strict=True)]
        lower, _, upper = quantiles(ratios, n=4)
        increments[name] = TimeIncrement(
            median=median(ratios) - 1.0,
            lower=lower - 1.0,
            upper=upper - 1.0,
            seconds=median(seconds[name]),
        )
    return increments
