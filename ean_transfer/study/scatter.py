"""A task's metric against the time of a forward pass, as a small drawing for the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from ean_transfer.study.arms import Arm

WIDTH, HEIGHT = 640.0, 320.0
"""Size of a drawing in its own units."""
LEFT, BOTTOM = 60.0, 40.0
"""Room for the numbers on the axes."""
_LEAST, _MOST = 4.0, 14.0  # radius of no parameters, and of the most
_NAME, _LINE = 130.0, 16.0  # width and height of a name


@dataclass(frozen=True)
class Point:
    """One arm.

    Attributes:
        name: The arm's title.
        x: Place of its time over none's.
        y: Place of the mean of its metric.
        spread: Places of the mean plus and minus a standard deviation over seeds.
        radius: The square root of its attention's parameters, to scale.
        text: Its numbers in words.
        label_y: Place of the name, beside the point or shifted away from another name.
    """

    name: str
    x: float
    y: float
    spread: tuple[float, float]
    radius: float
    text: str
    label_y: float


@dataclass(frozen=True)
class Scatter:
    """Points and axes, in units from 0 to :data:`WIDTH` and :data:`HEIGHT`.

    Attributes:
        points: All arms with a finite metric and a time.
        x_ticks: Text and place of each number on the axis of time.
        y_ticks: The same of the metric.
    """

    points: tuple[Point, ...]
    x_ticks: tuple[tuple[str, float], ...]
    y_ticks: tuple[tuple[str, float], ...]


def scatter_of(
    metrics: Mapping[Arm, Sequence[float]],
    increments: Mapping[Arm, Mapping[str, float]],
    parameters: Mapping[Arm, float],
    higher_is_better: bool = True,
) -> Scatter | None:
    """Lay out a task's arms; ``None`` where there are not two with a time and a finite metric.

    Args:
        metrics: Arm -> the task's metric, one value per seed.
        increments: Arm -> its ``median`` time over none's.
        parameters: Arm -> parameters of its attention.
        higher_is_better: Whether a good arm has a high value of the metric; good is drawn above.
    """
    arms = [arm for arm in increments if all(map(math.isfinite, metrics[arm]))]
    if len(arms) < 2:
        return None
    times = {arm: 100 * increments[arm]["median"] for arm in arms}  # percent
    means = {arm: fmean(metrics[arm]) for arm in arms}
    spreads = {arm: stdev(metrics[arm]) if len(metrics[arm]) > 1 else 0.0 for arm in arms}
    ends = [means[arm] + sign * spreads[arm] for arm in arms for sign in (-1, 1)]
    x_place, x_ticks = _axis([*times.values()], LEFT, WIDTH - _NAME, "{:+.3g} %")
    bottom, top = HEIGHT - BOTTOM, 20.0
    lowest, highest = (bottom, top) if higher_is_better else (top, bottom)
    y_place, y_ticks = _axis(ends, lowest, highest, "{:.4g}")
    most = max(parameters.values()) or 1.0
    points = [
        Point(
            name=arm.title,
            x=x_place(times[arm]),
            y=y_place(means[arm]),
            spread=(y_place(means[arm] - spreads[arm]), y_place(means[arm] + spreads[arm])),
            radius=round(_LEAST + (_MOST - _LEAST) * math.sqrt(parameters[arm] / most), 1),
            text=(
                f"{arm.title}: {means[arm]:.4g} ± {spreads[arm]:.2g}, {times[arm]:+.1f} % time, "
                f"{parameters[arm]:,.0f} parameters"
            ),
            label_y=y_place(means[arm]),
        )
        for arm in arms
    ]
    return Scatter(_apart(points), x_ticks, y_ticks)


def _axis(
    values: Sequence[float], start: float, end: float, text: str
) -> tuple[Callable[[float], float], tuple[tuple[str, float], ...]]:
    """Where an axis of these values has each value, and its ticks."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.01 * (abs(high) or 1.0)
    low, high = low - margin, high + margin
    # About four ticks, at multiples of 1, 2 or 5 times a power of ten.
    exact = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= exact)

    def place(value: float) -> float:
        return round(start + (end - start) * (value - low) / (high - low), 1)

    numbers = [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return place, tuple((text.format(number), place(number)) for number in numbers)


def _apart(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points, with names moved down where they would cover another one."""
    placed: list[Point] = []
    for point in sorted(points, key=lambda point: point.y):
        for other in placed:  # from the top down
            near = abs(other.x - point.x) < _NAME and abs(other.label_y - point.label_y) < _LINE
            if near:
                point = replace(point, label_y=round(other.label_y + _LINE, 1))
        placed = sorted([*placed, point], key=lambda point: point.label_y)
    return tuple(placed)
