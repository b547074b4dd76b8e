"""One number per mask: the papers' form, a constraint, and the cheapest that is good enough."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ean_transfer.errors import ConfigError
from ean_transfer.search.reward import Reward
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.supernet.scoring import ACCURACY, LossScorer, Metric, Score
from tests.search.tables import toy_table

TABLES = {
    "sparsity": toy_table("sparsity", (0.25,) * 4),
    "params": toy_table("params", (100.0, 100.0, 400.0, 400.0)),
    "latency": toy_table("latency", (0.5, 0.5, 1.0, 0.0), plain=10.0),
}
masks = st.tuples(*[st.booleans()] * 4)
scores = st.builds(
    lambda accuracy, loss: Score(accuracy, loss, 100), st.floats(0, 100), st.floats(0, 20)
)
NONE, FULL = (False,) * 4, (True,) * 4


def score(accuracy: float, loss: float = 1.0) -> Score:
    return Score(accuracy, loss, 100)


def reward(none: float = 70.0, full: float = 72.0, **cfg) -> Reward:
    return Reward.of(RewardSettings(**cfg), TABLES, score(none, 1.2), score(full, 1.0), ACCURACY)


# -- the weighted form -----------------------------------------------------------------------


@given(masks, scores, st.floats(0, 100))
def test_the_papers_reward_is_accuracy_plus_weight_times_sparsity(mask, scored, weight) -> None:
    papers = reward(quality="accuracy", cost="sparsity", weight=weight)
    assert papers(mask, scored) == scored.metric + weight * (1.0 - sum(mask) / len(mask))
    assert papers.feasible(mask, scored)


def test_the_weight_of_another_cost_is_worth_its_relative_saving() -> None:
    weighted = reward(quality="accuracy", cost="latency", weight=2.0)
    assert weighted((False, False, True, True), score(71.0)) == 71.0 + 2.0 * 0.5
    assert weighted.cost_of((False, False, True, True)) == 11.0


def test_loss_counts_in_hundredths_of_a_nat() -> None:
    by_loss = reward(quality="loss")
    assert by_loss(FULL, score(70.0, 0.51)) == pytest.approx(-51.0)
    assert by_loss.unit == "hundredths of a nat"
    assert by_loss(FULL, score(10.0, math.nan)) == by_loss(FULL, score(10.0, math.inf)) == -1000.0


@pytest.mark.parametrize("metric", [None, ACCURACY])
def test_a_loss_of_the_users_own_may_be_of_any_size(metric: Metric | None) -> None:
    scorer = LossScorer(F.mse_loss, metric)
    by_loss = Reward.of(
        RewardSettings(quality="loss"), TABLES, score(0, 5e4), score(0, 4e4), scorer.metric
    )
    assert by_loss(FULL, score(0, 4e4)) == -4e6 > by_loss(NONE, score(0, 5e4))


def test_a_score_that_is_not_finite_is_far_below_none_and_full() -> None:
    metric = LossScorer(F.mse_loss).metric
    ends = score(0, 50.0), score(0, 40.0)
    by_loss = Reward.of(RewardSettings(quality="loss"), TABLES, *ends, metric)
    for loss in (math.inf, math.nan, -math.inf):
        assert by_loss(NONE, score(0, loss)) == -5000.0 - 10 * 1000.0
        assert not by_loss.rank(NONE, score(0, loss)).feasible  # so it is never the ticket
    assert by_loss.rank(NONE, score(0, 1e6)) == (True, -1e8)  # as large as it is


# -- constraints -----------------------------------------------------------------------------


def test_best_quality_among_the_fast() -> None:
    fast = reward(quality="accuracy", constraint="latency <= 1.05 x plain")
    ok, slow, slower = (True, False, False, True), (False, False, True, False), FULL
    assert fast.feasible(ok, score(60.0)) and fast(ok, score(60.0)) == 60.0
    assert not fast.feasible(slow, score(99.0))
    # None satisfies it with 70; the limit 10.5 is broken by 0.5 of the 2 ms that full costs more.
    assert fast(slow, score(99.0)) == pytest.approx(70.0 - (1.0 + 2.5))
    assert fast(slower, score(99.0)) == pytest.approx(70.0 - (1.0 + 7.5))
    assert fast.rank(ok, score(60.0)) > fast.rank(slow, score(99.0))


def test_the_cheapest_that_is_as_good() -> None:
    cheap = reward(minimize="latency", constraint="accuracy >= full - 0.3")
    assert cheap((False, False, True, True), score(71.7)) == 50.0  # just at the limit
    assert cheap(FULL, score(72.0)) == 0.0
    # Full is the only reference that satisfies it, and saves nothing.
    assert cheap(NONE, score(70.7)) == pytest.approx(0.0 - 10.0 * (1.0 + 1.0))
    assert cheap.unit == "% of full's added latency saved"


def test_without_a_satisfying_reference_violations_lie_below_all_qualities() -> None:
    hard = reward(quality="accuracy", constraint="accuracy >= 90")
    assert hard(NONE, score(89.0)) == -2.0
    assert hard(NONE, score(90.0)) == 90.0


CONFIGS = [
    dict(quality="accuracy", constraint="latency <= 1.05 x plain"),
    dict(quality="accuracy", cost="latency", weight=3.0, constraint="params <= 0.5 x full"),
    dict(quality="loss", constraint="sparsity >= 0.5"),
    dict(quality="accuracy", constraint="loss <= plain - 0.05"),
    dict(minimize="params", constraint="accuracy >= full - 0.3"),
    dict(minimize="latency", constraint="loss <= full"),
    dict(quality="loss", constraint="connections = 2"),
]


@given(st.sampled_from(CONFIGS), masks, scores, scores, scores)
def test_no_violating_mask_is_above_the_best_satisfying_one(cfg, mask, scored, none, full) -> None:
    one = Reward.of(RewardSettings(**cfg), TABLES, none, full, ACCURACY)
    value = one(mask, scored)
    assert math.isfinite(value)
    satisfying = [ref for ref in ((NONE, none), (FULL, full)) if one.feasible(*ref)]
    if not one.feasible(mask, scored) and satisfying:
        assert value < max(one(*ref) for ref in satisfying)


@given(st.sampled_from(CONFIGS), masks, scores, masks, scores)
def test_the_less_violating_mask_is_rewarded_more(cfg, mask, scored, other, others) -> None:
    one = reward(**cfg)
    less, more = one.violation(mask, scored), one.violation(other, others)
    if 0.0 < less < more - 1e-6:
        assert one(mask, scored) > one(other, others)


def test_describes_itself_in_one_line() -> None:
    assert reward(quality="accuracy", cost="sparsity", weight=2.0).describe() == (
        "accuracy + 2 x (1 - relative sparsity), in points"
    )
    assert reward(quality="loss", constraint="latency<=1.1*none").describe() == (
        "-100 x loss, in hundredths of a nat, with latency <= 1.1 x plain (= 11)"
    )
    assert reward(**CONFIGS[4]).describe() == (
        "least params, as % of full's added params saved, with accuracy >= full - 0.3 (= 71.7)"
    )


# -- other metrics -------------------------------------------------------------------------------

MAE = Metric("mae", "objects", higher_is_better=False, worst=500.0, reward_scale=10.0)
OWN = Metric("score", "score")


def counted(**cfg) -> Reward:
    return Reward.of(RewardSettings(**cfg), TABLES, score(9.0, 1.2), score(8.0, 1.0), MAE)


def test_an_error_is_minimised_in_units_of_its_own() -> None:
    by_mae = counted(quality="mae")
    assert by_mae(FULL, score(8.0)) == -80.0 > by_mae(FULL, score(9.0))
    assert by_mae(FULL, score(math.inf)) == -5000.0
    assert by_mae.describe() == "-10 x mae, in objects"
    assert by_mae.axis == MAE


def test_a_constraint_on_an_error_counts_in_its_units() -> None:
    cheap = counted(minimize="latency", constraint="mae <= full + 0.5")
    assert cheap.feasible(NONE, score(8.5)) and not cheap.feasible(NONE, score(8.6))
    assert cheap.violation(NONE, score(8.7)) == pytest.approx(2.0)


def test_a_loss_that_is_no_cross_entropy_has_its_own_unit() -> None:
    loss = Metric("loss", "units of loss", higher_is_better=False, worst=math.inf)
    metric = replace(MAE, loss=loss)
    settings = RewardSettings(minimize="params", constraint="loss <= full + 0.5")
    cheap = Reward.of(settings, TABLES, score(5.0, 2.0), score(4.0, 1.0), metric)
    assert cheap.axis == loss
    # Half a unit of loss above the limit, and not fifty hundredths of a nat.
    assert cheap.violation(FULL, score(4.0, 2.0)) == pytest.approx(0.5)
    by_loss = Reward.of(RewardSettings(quality="loss"), TABLES, cheap.none, cheap.full, metric)
    assert by_loss(NONE, score(5.0, 2.0)) == -2.0 and by_loss.unit == "units of loss"


def test_a_metric_without_a_worst_value_still_steers_towards_the_constraint() -> None:
    settings = RewardSettings(quality="score", constraint="score >= 0.9")
    own = Reward.of(settings, TABLES, score(0.4), score(0.5), OWN)
    far, near, within = (own(FULL, score(value)) for value in (0.2, 0.8, 0.9))
    assert -math.inf < far < near < within == 0.9


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_metric_of_ones_own_has_no_worst_value_unless_it_says_one(higher_is_better) -> None:
    metric = Metric("rmse", "metres", higher_is_better)
    sign = 1.0 if higher_is_better else -1.0
    settings = RewardSettings(quality="rmse")
    own = Reward.of(settings, TABLES, score(sign * -5.0), score(sign * -4.0), metric)
    assert [own(FULL, score(sign * value)) for value in (-9.0, -4.0, 3.0)] == [-9.0, -4.0, 3.0]


# -- budgets -------------------------------------------------------------------------------------


def test_a_number_of_connections_is_kept_exactly() -> None:
    exact = reward(quality="accuracy", constraint="connections = 2")
    two, three = (True, True, False, False), (True, True, True, False)
    assert exact.feasible(two, score(60.0)) and not exact.feasible(three, score(99.0))
    assert exact.rank(two, score(60.0)) > exact.rank(three, score(99.0))


# -- the config ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cfg", "costs"),
    [
        (dict(quality="accuracy"), ["sparsity"]),
        (dict(quality="accuracy", cost="macs", weight=1), ["macs"]),
        (dict(quality="accuracy", constraint="latency <= 3"), ["latency"]),
        (dict(quality="accuracy", constraint="sparsity >= 0.5"), ["sparsity"]),
        (dict(quality="accuracy", constraint="connections = 2"), ["sparsity"]),
        (dict(minimize="params", constraint="accuracy >= 70"), ["params"]),
        (dict(minimize="params", constraint="sparsity >= 0.5"), ["params"]),
        (dict(minimize="params", constraint="latency <= 3"), ["params", "latency"]),
    ],
)
def test_a_config_tells_which_costs_it_needs(cfg, costs) -> None:
    assert RewardSettings(**cfg).costs == costs


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        (dict(), ["quality", "minimize"]),
        (dict(quality="accuracy", minimize="latency"), ["quality", "minimize"]),
        (dict(quality="accuracy", wait=2.0), ["wait"]),
        (dict(quality="accuracy", cost="sparsity"), ["cost and weight"]),
        (dict(quality="accuracy", weight=2.0), ["cost and weight"]),
        (dict(quality="accuracy", cost="sparsity", weight=-1.0), ["weight", "-1"]),
        (dict(quality="accuracy", cost="sparsity", weight="2"), ["weight", "'2'"]),
        (dict(quality="accuracy", cost="sparsity", weight=math.inf), ["weight", "inf"]),
        (dict(quality="accuracy", steepness=0), ["steepness", "0"]),
        (dict(quality="accuracy", cost="time", weight=2.0), ["cost", "latency", "time"]),
        (dict(quality="accuracy", constraint="speed > 3"), ["'speed > 3'", "latency <="]),
        (dict(minimize="latency"), ["constraint", "plain network"]),
        (dict(minimize="latency", constraint="loss <= 1", weight=1), ["leave out", "weight"]),
    ],
)
def test_a_config_that_makes_no_reward_is_refused(cfg, words) -> None:
    with pytest.raises(ConfigError) as error:
        RewardSettings(**cfg)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        (dict(quality="f1"), ["quality", "'accuracy' or 'loss'", "'f1'"]),
        (dict(quality="loss", constraint="speed <= 3"), ["accuracy, loss, connections", "'speed'"]),
    ],
)
def test_a_metric_that_the_scorer_does_not_have_is_refused(cfg, words) -> None:
    with pytest.raises(ConfigError) as error:
        RewardSettings(**cfg).require_known(ACCURACY)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("name", ["cost", "reward", "connections", "latency"])
def test_a_metric_has_no_name_of_another_quantity(name: str) -> None:
    with pytest.raises(ConfigError, match=f"name of its own, found '{name}'"):
        RewardSettings(quality="loss").require_known(replace(ACCURACY, name=name))


def test_options_that_are_none_count_as_left_out() -> None:
    cfg = dict(quality=None, cost=None, weight=None, minimize="latency", constraint="loss <= full")
    assert reward(**cfg) == reward(**CONFIGS[5])
