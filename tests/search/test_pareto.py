"""The front holds what no other mask beats, and a rule chooses from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.errors import ConfigError
from ean_transfer.search.pareto import Pareto, Point, front, pick

values = st.one_of(st.integers(0, 5).map(float), st.floats(0, 100))
points = st.lists(st.builds(Point, st.text("01", min_size=4, max_size=4), values, values, values))


def beats(a: Point, b: Point) -> bool:
    no_worse = a.accuracy >= b.accuracy and a.cost <= b.cost
    return no_worse and (a.accuracy > b.accuracy or a.cost < b.cost)


@given(points)
def test_no_point_of_the_front_beats_another_and_all_others_are_matched(all_points) -> None:
    best = front(all_points)
    assert not any(beats(a, b) for a in best for b in best)
    for point in all_points:
        equal = any((b.accuracy, b.cost) == (point.accuracy, point.cost) for b in best)
        assert equal or any(beats(b, point) for b in best)
    assert [p.cost for p in best] == sorted({p.cost for p in best})
    assert set(best) <= set(all_points)


def test_of_equal_points_the_first_is_kept() -> None:
    twins = [Point("01", 70.0, 1.0, 3.0), Point("10", 70.0, 0.9, 3.0)]
    assert front(twins) == twins[:1]
    assert front([]) == []


@given(points)
def test_the_front_of_a_front_is_itself(all_points) -> None:
    assert front(front(all_points)) == front(all_points)


NONE, FULL = Point("0000", 70.0, 1.2, 10.0), Point("1111", 73.5, 1.0, 14.0)
BEND, BEST = Point("0100", 73.3, 1.05, 11.0), Point("0111", 74.0, 0.98, 13.0)
FRONT = [NONE, BEND, BEST]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("best", BEST),
        ("knee", BEND),
        ("accuracy >= full - 0.3", BEND),
        ("accuracy >= full", BEST),
        ("accuracy >= 60", NONE),
        ("loss <= full + 0.1", BEND),
        ("latency <= 1.1 x plain", BEND),
        ("latency <= 1.05 x plain", NONE),
        ("latency <= 100", BEST),
        ("sparsity >= 0.5", BEND),
    ],
)
def test_rules(rule: str, expected: Point) -> None:
    assert pick(FRONT, rule, cost="latency", none=NONE, full=FULL) == expected


@given(points.filter(bool))
def test_the_knee_lies_on_or_above_the_line_between_the_ends(all_points) -> None:
    best = front(all_points)
    knee = pick(best, "knee", cost="params", none=best[0], full=best[-1])
    first, last = best[0], best[-1]
    if knee not in (first, last):
        slope = (last.accuracy - first.accuracy) / (last.cost - first.cost)
        assert knee.accuracy >= first.accuracy + slope * (knee.cost - first.cost) - 1e-9
    if len(best) <= 2:
        assert knee == first


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("cheapest", "'best', 'knee' or a constraint, found 'cheapest'"),
        ("params <= 3", "the front knows accuracy, loss, sparsity and latency"),
        ("accuracy >= full + 9", r"no mask of the front has .* \(= 82.5\): the closest has 74"),
        ("latency <= 0.5 x plain", r"\(= 5\): the closest has 10"),
    ],
)
def test_rules_that_choose_nothing_are_refused(rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pick(FRONT, rule, cost="latency", none=NONE, full=FULL)


def test_what_a_front_knows_is_said_once() -> None:
    with pytest.raises(ConfigError, match="the front knows accuracy, loss and sparsity$"):
        pick(FRONT, "latency <= 3", cost="sparsity", none=NONE, full=FULL)


def test_is_read_as_it_was_written(tmp_path) -> None:
    pareto = Pareto.of([BEND, BEST], cost="latency", none=NONE, full=FULL)
    assert list(pareto.points) == FRONT and pareto.unit == "ms"
    read = Pareto.load(pareto.save(tmp_path / "search" / "pareto.json"))
    assert read == pareto
    assert read.pick("knee") == BEND
    assert [file.name for file in (tmp_path / "search").iterdir()] == ["pareto.json"]


def test_a_loss_that_is_infinite_can_be_read_again(tmp_path) -> None:
    diverged = replace(FULL, loss=float("inf"))
    pareto = Pareto.of([BEND], cost="latency", none=NONE, full=diverged)
    assert Pareto.load(pareto.save(tmp_path / "pareto.json")).full == diverged


def test_what_is_no_front_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(ConfigError, match="absent.json: "):
        Pareto.load(tmp_path / "absent.json")
    file = tmp_path / "pareto.json"
    for text in ("{", "{}", '{"cost": "time"}'):
        file.write_text(text)
        with pytest.raises(ConfigError, match="pareto.json: "):
            Pareto.load(file)
