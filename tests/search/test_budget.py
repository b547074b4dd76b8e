"""The ticket's time is measured again, and compared with the budget round by round."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from ean_transfer import attach
from ean_transfer.analysis import latency, variants
from ean_transfer.analysis.latency import WARM_UP
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import ConfigError
from ean_transfer.search import budget
from ean_transfer.search.budget import BudgetCheck, check_budget
from ean_transfer.search.cost.table import CostTable, cost_table
from ean_transfer.search.reward import Reward
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.supernet.scoring import ACCURACY, Score
from ean_transfer.ticket.mask import Mask
from tests.attachment.networks import SE, small

NONE, TWO, FULL = (False,) * 5, (True, False, False, False, True), (True,) * 5
ROUNDS = 8


@pytest.fixture(scope="module")
def network():
    return find_backbone(attach(small(), SE))


@pytest.fixture(scope="module")
def table(network) -> CostTable:
    images = torch.rand(1, 3, 16, 16)
    return cost_table("latency", network, example=images, rounds=2)


@pytest.fixture
def timed(monkeypatch) -> Counter[Mask]:
    """A machine that gets slower with each round; each connection takes a tenth of plain's time."""
    runs: Counter[Mask] = Counter()

    def forward_ms(variant, *_) -> float:
        mask = find_backbone(variant).mask
        runs[mask] += 1
        return 10.0 * runs[mask] * (1 + 0.1 * sum(mask))

    monkeypatch.setattr(latency, "forward_ms", forward_ms)
    return runs


def check(network, table: CostTable, constraint: str, mask=TWO, **changes) -> BudgetCheck | None:
    settings = RewardSettings(quality="loss", constraint=constraint)
    measurement = table.measurement.model_copy(update={"rounds": ROUNDS} | changes)
    table = table.model_copy(update={"measurement": measurement})
    tables = {cost: table.model_copy(update={"cost": cost}) for cost in settings.costs}
    score = Score(50.0, 1.0, 10)
    return check_budget(network, Reward.of(settings, tables, score, score, ACCURACY), mask)


@pytest.mark.parametrize(
    ("limit", "mask", "kept"),
    [
        ("latency <= 1.25 x plain", TWO, True),
        ("latency <= 1.25 x plain", FULL, False),
        ("latency <= 1.15 x plain", TWO, False),
        ("latency <= 1 x plain", NONE, True),
        ("latency <= 0.85 x full", TWO, True),
        ("latency <= 0.75 x full", TWO, False),
    ],
)
def test_a_budget_is_compared_round_by_round(network, table, timed, limit, mask, kept) -> None:
    checked = check(network, table, limit, mask)
    assert checked.kept is kept and checked.rounds == ROUNDS
    assert checked.rounds_within == (ROUNDS if kept else 0)
    assert checked.latency.over_plain == pytest.approx(0.1 * sum(mask))
    assert set(timed.values()) == {WARM_UP + ROUNDS}
    assert ("within" if kept else "over") in str(checked) and limit[:7] in str(checked)


def test_a_budget_in_milliseconds_is_kept_in_some_rounds(network, table, timed) -> None:
    # The rounds after the warm-up take 12 ms times 4, 5, ... 11.
    checked = check(network, table, "latency <= 72 ms")
    assert checked.rounds_within == 3 and not checked.kept and checked.limit == 72.0
    assert checked.facts["kept"] is False and checked.facts["ms"] == pytest.approx(12 * 7.5)
    timed.clear()
    assert check(network, table, "latency <= 96 ms").kept


def test_half_of_the_rounds_are_enough(network, table, timed) -> None:
    half = check(network, table, "latency <= 90 ms")  # of 48, 60, ... 132 ms
    assert half is not None and half.rounds_within == 4 and half.kept


def test_other_budgets_are_not_timed(network, table) -> None:
    assert check(network, table, "connections <= 2") is None
    assert check(network, table, "loss <= 1 x full") is None


@pytest.mark.parametrize("changes", [dict(device="a telephone"), dict(threads=999)])
def test_latencies_of_another_device_are_not_compared(network, table, changes) -> None:
    with pytest.raises(ConfigError, match="telephone|999 threads"):
        check(network, table, "latency <= 1.25 x plain", **changes)


def test_the_network_is_left_as_it_was(network, table) -> None:
    network.set_mask(TWO)
    check(network, table, "latency <= 1.25 x plain", FULL, rounds=2)
    assert network.mask == TWO


@pytest.mark.slow
def test_a_compiled_budget_is_measured_compiled(network, monkeypatch) -> None:
    table = cost_table("latency_compiled", network, (1, 3, 16, 16), rounds=2)
    assert table.plain > 0 and len(table.connections) == 5
    compiled: list[bool] = []

    def under_masks(*arguments, **options):
        compiled.append(options["compiled"])
        return variants.under_masks(*arguments, **options)

    monkeypatch.setattr(budget, "under_masks", under_masks)
    checked = check(network, table, "latency_compiled <= 9 x plain")
    assert compiled == [True] and checked.latency.ms > 0
