"""A verdict as a small drawing for the page: its seeds, interval and claim on one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ean_transfer.study.claims import Verdict

WIDTH = 640.0
"""Width of a strip in its own units."""
_MARGIN = 0.06  # of the width, on either side
_LABEL = 40.0  # least distance of two labels


@dataclass(frozen=True)
class Strip:
    """Places on the axis of advantages, from 0 to :data:`WIDTH`.

    Attributes:
        seeds: Seed, its advantage, and the place of that.
        region: Both ends of what the claim says.
        interval: Both ends of the interval that decides, and the mean; empty if there is none.
        labels: Text and place of zero and of the claim's bounds.
    """

    seeds: tuple[tuple[int, float, float], ...]
    region: tuple[float, float]
    interval: tuple[float, ...]
    labels: tuple[tuple[str, float], ...]


def strip_of(verdict: Verdict) -> Strip | None:
    """Lay out a verdict; ``None`` where no seed has a finite advantage."""
    seeds = {s: value for s, value in verdict.advantages.items() if math.isfinite(value)}
    if not seeds:
        return None
    interval = () if verdict.t is None else (verdict.t.low, verdict.t.high, verdict.mean)
    bounds = [bound for bound in verdict.region if math.isfinite(bound)]
    values = [0.0, *bounds, *interval, *seeds.values()]
    low, high = min(values), max(values)

    def place(value: float) -> float:
        share = (value - low) / ((high - low) or 1.0)
        inner = _MARGIN + (1.0 - 2.0 * _MARGIN) * share
        return round(WIDTH * min(1.0, max(0.0, inner)), 1)

    labels = {f"{bound:+g}" if bound else "0": place(bound) for bound in bounds}
    if all(abs(place(0.0) - other) > _LABEL for other in labels.values()):
        labels["0"] = place(0.0)
    return Strip(
        seeds=tuple((seed, value, place(value)) for seed, value in seeds.items()),
        region=(place(verdict.region.low), place(verdict.region.high)),
        interval=tuple(place(value) for value in interval),
        labels=tuple(labels.items()),
    )
