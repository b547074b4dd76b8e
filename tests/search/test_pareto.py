"""The front holds what no other mask beats, and a rule chooses from it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.errors import ConfigError
from ean_transfer.search.pareto import Pareto, Point, front, pick
from ean_transfer.supernet.scoring import ACCURACY, LOSS, Metric


def point(mask: str, accuracy: float, loss: float, latency: float, **costs: float) -> Point:
    return Point(mask, {"accuracy": accuracy, "loss": loss}, {"latency": latency, **costs})


values = st.one_of(st.integers(0, 5).map(float), st.floats(0, 100))
points = st.lists(st.builds(point, st.text("01", min_size=4, max_size=4), values, values, values))


def axes(one: Point) -> tuple[float, float]:
    return one.values["accuracy"], one.costs["latency"]


def beats(a: Point, b: Point) -> bool:
    (high, cheap), (low, dear) = axes(a), axes(b)
    return high >= low and cheap <= dear and (high > low or cheap < dear)


def by_latency(all_points) -> list[Point]:
    return front(all_points, ACCURACY, "latency")


@given(points)
def test_no_point_of_the_front_beats_another_and_all_others_are_matched(all_points) -> None:
    best = by_latency(all_points)
    assert not any(beats(a, b) for a in best for b in best)
    for one in all_points:
        equal = any(axes(b) == axes(one) for b in best)
        assert equal or any(beats(b, one) for b in best)
    costs = [p.costs["latency"] for p in best]
    assert costs == sorted(set(costs))
    assert all(p in all_points for p in best)


def test_of_equal_points_the_first_is_kept() -> None:
    twins = [point("01", 70.0, 1.0, 3.0), point("10", 70.0, 0.9, 3.0)]
    assert by_latency(twins) == twins[:1]
    assert by_latency([]) == []


@given(points)
def test_the_front_of_a_front_is_itself(all_points) -> None:
    assert by_latency(by_latency(all_points)) == by_latency(all_points)


NONE, FULL = point("0000", 70.0, 1.2, 10.0), point("1111", 73.5, 1.0, 14.0)
BEND, BEST = point("0100", 73.3, 1.05, 11.0), point("0111", 74.0, 0.98, 13.0)
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
        ("connections = 3", BEST),
        ("connections <= 0.5 x full", BEND),
    ],
)
def test_rules(rule: str, expected: Point) -> None:
    options = dict(cost="latency", none=NONE, full=FULL, quality=ACCURACY)
    assert pick(FRONT, rule, **options) == expected


@pytest.mark.parametrize(
    ("rule", "expected"), [("sparsity >= 0.7", BEND), ("sparsity <= 0.3", BEST)]
)
def test_sparsity_is_the_share_without_attention_also_after_a_search_about_it(
    rule: str, expected: Point
) -> None:
    none, full, *points = (
        replace(one, costs={"sparsity": one.cost("sparsity")}) for one in (NONE, FULL, *FRONT)
    )
    picked = pick(points, rule, cost="sparsity", none=none, full=full, quality=ACCURACY)
    assert picked.mask == expected.mask


@given(points.filter(bool))
def test_the_knee_lies_on_or_above_the_line_between_the_ends(all_points) -> None:
    best = by_latency(all_points)
    first, last = best[0], best[-1]
    knee = pick(best, "knee", cost="latency", none=first, full=last, quality=ACCURACY)
    if knee not in (first, last):
        (low, cheap), (high, dear), (middle, cost) = axes(first), axes(last), axes(knee)
        assert middle >= low + (high - low) / (dear - cheap) * (cost - cheap) - 1e-9
    if len(best) <= 2:
        assert knee == first


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("cheapest", "'best', 'knee' or a constraint, found 'cheapest'"),
        ("params <= 3", "the front knows accuracy, loss, connections, sparsity and latency$"),
        ("accuracy >= full + 9", r"no mask of the front has .* \(= 82.5\): the closest has 74"),
        ("latency <= 0.5 x plain", r"\(= 5\): the closest has 10"),
    ],
)
def test_rules_that_choose_nothing_are_refused(rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pick(FRONT, rule, cost="latency", none=NONE, full=FULL, quality=ACCURACY)


def test_the_best_under_a_cost_that_the_search_was_not_about() -> None:
    none, full = (
        point(bits, 70.0, 1.2, ms, params=n) for bits, ms, n in (("00", 10, 0), ("11", 13, 9))
    )
    small = point("01", 71.0, 1.0, 12.5, params=2.0)  # dominates the next but for its latency
    fast = point("10", 70.5, 1.1, 10.5, params=4.0)
    worse = point("11", 70.4, 1.1, 12.9, params=9.0)
    pareto = Pareto.of([small, fast, worse], cost="params", none=none, full=full, quality=ACCURACY)
    assert pareto.front == [none, small] and list(pareto.points) == [none, small, fast]
    assert pareto.pick("latency <= 1.1 x plain") == fast
    assert pareto.pick("best") == pareto.pick("params <= 3") == small


def test_the_cheapest_by_a_metric_that_the_search_was_not_about() -> None:
    none, full = (
        point(bits, 70.0, 1.2, ms, params=n) for bits, ms, n in (("00", 1, 0), ("11", 9, 9))
    )
    small = point("01", 72.0, 1.1, 4.0, params=2.0)  # has fewer parameters than the next, no more
    fast = point("10", 71.0, 1.0, 3.0, params=4.0)
    pareto = Pareto.of([small, fast], cost="latency", none=none, full=full, quality=LOSS)
    assert pareto.front == [none, fast]
    assert pareto.pick("accuracy >= full + 1.5") == small
    assert pareto.pick("accuracy >= full + 0.5") == fast


def test_is_read_as_it_was_written(tmp_path) -> None:
    pareto = Pareto.of([BEND, BEST], cost="latency", none=NONE, full=FULL, quality=ACCURACY)
    assert list(pareto.points) == FRONT and pareto.unit == "ms"
    read = Pareto.load(pareto.save(tmp_path / "search" / "pareto.json"))
    assert read == pareto
    assert read.pick("knee") == BEND
    assert [file.name for file in (tmp_path / "search").iterdir()] == ["pareto.json"]


def test_a_loss_that_is_infinite_can_be_read_again(tmp_path) -> None:
    diverged = replace(FULL, values={"accuracy": 10.0, "loss": float("inf")})
    pareto = Pareto.of([BEND], cost="latency", none=NONE, full=diverged, quality=LOSS)
    assert Pareto.load(pareto.save(tmp_path / "pareto.json")).full == diverged


def test_a_metric_of_another_name_and_direction_is_kept(tmp_path) -> None:
    mae = Metric("mae", "objects", higher_is_better=False)
    none, few, full = (
        Point(mask, {"mae": value, "loss": 1.0}, {})
        for mask, value in (("00", 3.0), ("01", 2.0), ("11", 2.5))
    )
    file = Pareto.of([few], cost="sparsity", none=none, full=full, quality=mae).save(
        tmp_path / "pareto.json"
    )
    assert Pareto.load(file).front == [none, few]
    assert Pareto.load(file).pick("mae <= full") == few


@pytest.mark.parametrize("cost", ["latency", "sparsity"])
def test_a_front_of_version_1_is_read(tmp_path, cost: str) -> None:
    def old(one: Point) -> dict:
        return {"mask": one.mask, **one.values, "cost": one.cost(cost)}

    file = tmp_path / "pareto.json"
    references = {"none": old(NONE), "full": old(FULL), "points": list(map(old, FRONT))}
    head = {"format": "ean-transfer/pareto", "version": 1, "cost": cost, "unit": "-"}
    file.write_text(json.dumps(head | {"quality": "loss"} | references))
    pareto = Pareto.load(file)
    assert pareto.axis.name == "loss" and not pareto.axis.higher_is_better
    assert pareto.pick("accuracy >= 73").mask == BEND.mask
    assert [p.values for p in pareto.front] == [p.values for p in FRONT]
    if cost == "latency":
        assert list(pareto.points) == FRONT and pareto.pick("latency <= 1.1 x plain") == BEND
    del references["none"]["loss"]
    file.write_text(json.dumps(head | references))
    with pytest.raises(ConfigError, match="pareto.json: .*mask, accuracy, loss and cost"):
        Pareto.load(file)


def test_what_is_no_front_is_refused_by_name(tmp_path) -> None:
    with pytest.raises(ConfigError, match="absent.json: "):
        Pareto.load(tmp_path / "absent.json")
    file = tmp_path / "pareto.json"
    for text in ("{", "{}", '{"cost": "time"}'):
        file.write_text(text)
        with pytest.raises(ConfigError, match="pareto.json: "):
            Pareto.load(file)
