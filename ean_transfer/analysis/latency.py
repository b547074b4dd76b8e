"""How much time attention costs: interleaved forward passes, as ratios of one run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn


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
    """Time the models' forward passes against one of them.

    Each round runs every model once, starting with another one each time, and compares within the
    round, so that a busy machine slows all of them alike.

    Args:
        models: Name -> module, all taking ``x``; they are put in eval mode.
        x: (N, C, H, W), on the models' device.
        baseline: Name of the model to compare with.
        rounds: Times that every model runs.
        warm_up: Rounds before that, not counted.

    Returns:
        Name -> increment; the baseline's is 0.
    """
    names = list(models)
    for model in models.values():
        model.eval()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(warm_up + rounds):
        start = index % len(names)
        for name in names[start:] + names[:start]:
            elapsed = _forward_seconds(models[name], x)
            if index >= warm_up:
                seconds[name].append(elapsed)
    result = {}
    for name in names:
        ratios = [t / plain for t, plain in zip(seconds[name], seconds[baseline], strict=True)]
        lower, _, upper = quantiles(ratios, n=4)
        result[name] = TimeIncrement(
            median=median(ratios) - 1.0,
            lower=lower - 1.0,
            upper=upper - 1.0,
            seconds=median(seconds[name]),
        )
    return result


def _forward_seconds(model: nn.Module, x: Tensor) -> float:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    start = time.perf_counter()
    model(x)
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter() - start
