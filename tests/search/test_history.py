"""A history knows its best mask, and takes over the trace of a stopped search."""

from __future__ import annotations

from ean_transfer.search.history import History
from ean_transfer.search.reward import Reward
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.supernet.scoring import ACCURACY, Metric, Score
from tests.search.tables import toy_table

SPARSITY = toy_table("sparsity", (0.5, 0.5))
NONE, FIRST, LAST, FULL = (False, False), (True, False), (False, True), (True, True)


def history(metric: Metric = ACCURACY) -> History:
    settings = RewardSettings(quality=metric.name, constraint="sparsity >= 0.5")
    none, full = Score(70.0, 1.0, 10), Score(80.0, 1.0, 10)
    return History(Reward.of(settings, {"sparsity": SPARSITY}, none, full, metric))


def test_the_best_satisfies_the_constraint_and_of_equals_came_first() -> None:
    masks = history()
    for mask, accuracy in ((NONE, 70.0), (FIRST, 75.0), (LAST, 75.0), (FULL, 80.0)):
        masks.add(mask, Score(accuracy, 1.0, 10))
    assert masks.best == FIRST
    assert masks.leaders == [FIRST, LAST, NONE, FULL]


def test_a_restored_history_continues_the_stopped_one() -> None:
    stopped, resumed = history(), history()
    stopped.add(FIRST, Score(75.0, 1.0, 10))
    stopped.record(0, [FIRST, FIRST], new=[FIRST], policy=None)
    stopped.record(1, [FIRST], new=[], policy=[0.25, 0.12345])
    assert [line.cached for line in stopped.trace] == [False, False, True]
    assert stopped.trace[-1].policy == [0.25, 0.1235] and stopped.trace[-1].cost == 0.5
    resumed.restore(stopped.trace, images=10)
    assert vars(resumed) | {"reward": None} == vars(stopped) | {"reward": None}


def test_the_metric_goes_by_its_name_in_trace_scalars_and_progress() -> None:
    counting = history(Metric("mae", "objects", higher_is_better=False, worst=1000.0))
    counting.add(FIRST, Score(3.5, 1.0, 10))
    counting.add(LAST, Score(4.5, 0.9, 10))
    lines = counting.record(0, [FIRST, LAST], new=[FIRST, LAST], policy=None)
    assert counting.best == FIRST
    assert lines[0].values == {"mae": 3.5, "loss": 1.0}
    assert counting.scalars(lines)["search/best_mae"] == 3.5
    assert "mae 3.50" in counting.progress()
    resumed = history(counting.reward.metric)
    resumed.restore(lines, images=10)
    assert resumed.scores == counting.scores and resumed.ranks == counting.ranks
