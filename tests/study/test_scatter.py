"""Metrics against time: where the page draws arms, axes and names."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from ean_transfer.study.arms import Arm
from ean_transfer.study.scatter import BOTTOM, HEIGHT, LEFT, WIDTH, scatter_of

NONE, FULL, TICKET = Arm("none"), Arm("full"), Arm("ticket")


def over_none(**percents: float) -> dict[Arm, dict[str, float]]:
    return {Arm(kind): {"median": percent / 100} for kind, percent in percents.items()}


def test_better_is_higher_and_slower_is_further_right() -> None:
    metrics = {NONE: [50.0, 52.0], FULL: [60.0, 60.0], TICKET: [59.0, 59.0]}
    drawing = scatter_of(
        metrics, over_none(none=0, full=8, ticket=5), {NONE: 0, FULL: 400, TICKET: 100}
    )
    assert drawing is not None
    points = {point.name: point for point in drawing.points}
    assert LEFT < points["none"].x < points["ticket"].x < points["full"].x < WIDTH
    assert HEIGHT - BOTTOM > points["none"].y > points["ticket"].y > points["full"].y > 0
    low, high = points["none"].spread
    assert low > points["none"].y > high and points["full"].spread == (points["full"].y,) * 2
    sizes = [points[name].radius for name in ("none", "ticket", "full")]
    assert sizes[1] - sizes[0] == pytest.approx(sizes[2] - sizes[1])  # the root of a quarter
    assert "full: 60 ± 0, +8.0 % time, 400 parameters" in points["full"].text
    # The ticks say where values are: 5 % lies where the ticket is.
    assert dict(drawing.x_ticks)["+5 %"] == points["ticket"].x
    assert dict(drawing.y_ticks)["60"] == points["full"].y

    errors = scatter_of(metrics, over_none(none=0, full=8), dict.fromkeys(metrics, 1), False)
    assert errors is not None
    ys = {point.name: point.y for point in errors.points}
    assert ys["none"] < ys["full"]  # of an error, less is better and higher up


def test_names_of_close_arms_do_not_cover_each_other() -> None:
    arms = [Arm(kind) for kind in ("none", "full", "ticket", "random", "late2")]
    metrics = {arm: [50.0 + 0.001 * i] for i, arm in enumerate(arms)} | {NONE: [10.0]}
    times = {arm: {"median": 0.01} for arm in arms}
    drawing = scatter_of(metrics, times, dict.fromkeys(arms, 0.0))
    assert drawing is not None
    for first, second in combinations(drawing.points, 2):
        assert abs(first.label_y - second.label_y) >= 15.9


def test_without_two_arms_there_is_nothing_to_draw() -> None:
    metrics = {NONE: [50.0], FULL: [math.nan]}
    assert scatter_of(metrics, over_none(none=0, full=8), {NONE: 0, FULL: 1}) is None
    assert scatter_of(metrics, {}, {NONE: 0, FULL: 1}) is None
