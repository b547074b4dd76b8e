"""Strategies compared on a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.strategies import (
    CONTESTANTS,
    contest,
    contest_rows,
    draw_contests,
    table_rewards,
)
from benchmarks.tables import ScoreTable
from ean_transfer.registry import STRATEGIES
from ean_transfer.ticket.mask import bits_of

REWARD = dict(quality="accuracy", cost="sparsity", weight=0.5)


def test_rewards_of_a_table(table: ScoreTable) -> None:
    papers = table_rewards(table, "batch", REWARD | dict(weight=2.0))
    assert papers["111000000"] == pytest.approx(73.0 + 2.0 * 6 / 9)
    assert max(papers, key=papers.__getitem__) == "111000000"
    cheapest = table_rewards(table, "batch", dict(minimize="sparsity", constraint="loss <= full"))
    assert max(cheapest, key=cheapest.__getitem__) == "111000000"


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_strategy_is_measured_by_its_best_mask_so_far(table: ScoreTable, name: str) -> None:
    seeds = 1 if name == "reinforce" else 3
    searches = contest(name, table, "batch", REWARD, seeds=seeds, budget=70)
    assert searches.regret.shape == (seeds, 70)
    rewards = table_rewards(table, "batch", REWARD)
    for seed, regret in enumerate(searches.regret):
        strategy = STRATEGIES.build(dict(CONTESTANTS[name], blocks=table.blocks, seed=seed))
        asked: dict[str, float] = {}
        for _ in range(70):
            if len(asked) >= 70:
                break
            masks = strategy.ask(3)
            asked |= {bits_of(mask): rewards[bits_of(mask)] for mask in masks}
            strategy.tell(masks, [rewards[bits_of(mask)] for mask in masks])
        expected = max(rewards.values()) - np.maximum.accumulate(list(asked.values()))[:70]
        assert regret[: len(expected)] == pytest.approx(expected)
        assert (regret[len(expected) :] == expected[-1]).all()  # it had nothing left to ask
    assert searches.quartiles(64) == tuple(np.quantile(searches.regret[:, 63], [0.25, 0.5, 0.75]))
    if name in ("surrogate", "greedy_backward"):
        assert searches.regret[:, 63].max() == 0.0


def test_the_comparison_is_printed_and_drawn(table: ScoreTable, tmp_path: Path) -> None:
    names = ["random", "greedy_backward"]
    contests = [contest(name, table, "batch", REWARD, seeds=2, budget=128) for name in names]
    assert [row[0] for row in contest_rows(contests)] == ["strategy", *names]
    draw_contests(contests, tmp_path / "regret.png")
    assert (tmp_path / "regret.png").stat().st_size > 5_000
