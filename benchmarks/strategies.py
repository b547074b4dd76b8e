"""Search strategies compared on tables: the best mask after a number of distinct evaluations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.tables import ScoreTable
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.cost.table import CostTable
from ean_transfer.search.reward import Reward
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.supernet.scoring import ACCURACY
from ean_transfer.ticket.mask import all_masks, bits_of

CONTESTANTS: Mapping[str, Mapping[str, Any]] = {
    "surrogate": dict(type="SurrogateStrategy"),
    "greedy_backward": dict(type="GreedyStrategy", direction="backward"),
    "greedy_forward": dict(type="GreedyStrategy", direction="forward"),
    "evolution": dict(type="EvolutionStrategy"),
    "reinforce": dict(type="ReinforceStrategy"),
    "heuristic": dict(type="HeuristicStrategy"),
    "exhaustive": dict(type="ExhaustiveStrategy"),
    "random": dict(type="RandomStrategy"),
}

CASES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "-100 loss + 0.5 sparsity, batch statistics": (
        "batch",
        dict(quality="loss", cost="sparsity", weight=0.5),
    ),
    "accuracy + 2 sparsity, batch statistics": (
        "batch",
        dict(quality="accuracy", cost="sparsity", weight=2.0),
    ),
    "accuracy + 2 sparsity, running statistics": (
        "running",
        dict(quality="accuracy", cost="sparsity", weight=2.0),
    ),
}
"""Statistics and rewards of the comparison: the default, the papers' and the authors' code's."""


@dataclass(frozen=True)
class Contest:
    """The searches of one strategy on one table.

    Attributes:
        strategy: The strategy's name among :data:`CONTESTANTS`.
        table: Name of the table and the reward.
        regret: (seeds, budget) the reward of the best mask of all minus that of the best mask so
            far, after each distinct evaluation.
        test_accuracy: (seeds, budget) accuracy on the test images of the best mask so far.
        seconds: Mean time of one search, without scoring.
    """

    strategy: str
    table: str
    regret: np.ndarray
    test_accuracy: np.ndarray
    seconds: float

    def quartiles(self, evaluations: int) -> tuple[float, float, float]:
        """First quartile, median and third quartile of the regret over the seeds."""
        lower, median, upper = np.percentile(self.regret[:, evaluations - 1], [25, 50, 75])
        return float(lower), float(median), float(upper)


def table_rewards(table: ScoreTable, bn: str, reward: Mapping[str, Any]) -> dict[str, float]:
    """The reward of every mask, by its bits.

    Args:
        table: The table.
        bn: Kind of BatchNorm statistics.
        reward: The ``reward`` of a search's config; its cost can only be sparsity, the share of
            blocks connected.
    """
    masks = all_masks(sum(table.blocks))
    costs = CostTable(
        cost="sparsity",
        backbone=table.about["backbone"],
        blocks=table.blocks,
        attention=table.about["attention"],
        attention_options=table.about["attention_options"],
        sharing=table.about["sharing"],
        plain=0.0,
        stages=(0.0,) * len(table.blocks),
        connections=(1.0 / len(masks[0]),) * len(masks[0]),
    )
    none, full = table.score(masks[0], bn), table.score(masks[-1], bn)
    function = Reward.of(RewardSettings(**reward), {"sparsity": costs}, none, full, ACCURACY)
    return {bits_of(mask): function(mask, table.score(mask, bn)) for mask in masks}


def contest(
    name: str,
    table: ScoreTable,
    bn: str,
    reward: Mapping[str, Any],
    *,
    table_name: str = "table",
    seeds: int = 100,
    budget: int = 128,
    masks_per_step: int = 3,
) -> Contest:
    """Run a strategy on a table with many seeds.

    Args:
        name: The strategy's name among :data:`CONTESTANTS`.
        table: The table.
        bn: Kind of BatchNorm statistics.
        reward: The ``reward`` of a search's config.
        table_name: The table's name in the result.
        seeds: Number of searches, with seeds 0, 1, ...
        budget: Distinct evaluations of each; masks asked for again are free.
        masks_per_step: Masks asked for at a time.
    """
    rewards = table_rewards(table, bn, reward)
    best = max(rewards.values())
    test = table.accuracy(bn, "test")
    regret, accuracy = np.empty((seeds, budget)), np.empty((seeds, budget))
    start = time.perf_counter()
    for seed in range(seeds):
        strategy: Strategy = STRATEGIES.build(
            dict(CONTESTANTS[name], blocks=table.blocks, seed=seed)
        )
        masks = evaluated(strategy, rewards, budget, masks_per_step)
        leaders = best_so_far(masks, rewards, budget)
        regret[seed] = [best - rewards[bits] for bits in leaders]
        accuracy[seed] = test[[int(bits, 2) for bits in leaders]]
    seconds = (time.perf_counter() - start) / seeds
    return Contest(name, table_name, regret, accuracy, seconds)


def evaluated(
    strategy: Strategy, rewards: Mapping[str, float], budget: int, masks_per_step: int
) -> list[str]:
    """The distinct masks that a search evaluates, in order; at most ``budget``."""
    seen: list[str] = []
    for new in passes(strategy, rewards, masks_per_step):
        seen += new
        if len(seen) >= budget:
            break
    return seen[:budget]


def passes(
    strategy: Strategy, rewards: Mapping[str, float], masks_per_step: int
) -> Iterator[list[str]]:
    """Yield the masks of each step of a search that no step before it had, if there are any.

    A search that asks only for known masks in 30 steps in a row, as a policy that has settled does,
    counts as finished.
    """
    known: set[str] = set()
    idle = 0
    while idle < 30 and (masks := strategy.ask(masks_per_step)):
        bits = [bits_of(mask) for mask in masks]
        new = [one for one in dict.fromkeys(bits) if one not in known]
        known.update(new)
        idle = 0 if new else idle + 1
        if new:
            yield new
        strategy.tell(masks, [rewards[one] for one in bits])


def best_so_far(masks: Sequence[str], rewards: Mapping[str, float], budget: int) -> list[str]:
    """The best of the first 1, 2, ... ``budget`` masks; a shorter search ends with its best."""

    def better(one: str, other: str) -> str:
        return max(one, other, key=rewards.__getitem__)

    best = list(accumulate(masks, better))
    return best + best[-1:] * (budget - len(best))


def contest_rows(contests: Sequence[Contest], at: Sequence[int] = (16, 32, 64)) -> list[list[str]]:
    """Rows of text, one per strategy: median regret and its quartiles after ``at`` evaluations."""
    at = [n for n in at if n <= contests[0].regret.shape[1]]
    regrets = [f"regret at {n}" for n in at]
    rows = [["strategy", *regrets, f"mean at {at[-1]}", "test accuracy at 64", "s"]]
    for one in contests:
        quartiles = [one.quartiles(n) for n in at]
        rows.append(
            [
                one.strategy,
                *(f"{median:.3f} ({lower:.3f}-{upper:.3f})" for lower, median, upper in quartiles),
                f"{one.regret[:, at[-1] - 1].mean():.3f}",
                f"{np.median(one.test_accuracy[:, 63]):.2f}",
                f"{one.seconds:.2f}",
            ]
        )
    return rows


def draw_contests(contests: Sequence[Contest], file: str | Path) -> None:
    """Draw the median regret and its quartiles over distinct evaluations, one panel per table."""
    tables = list(dict.fromkeys(one.table for one in contests))
    columns = min(3, len(tables))
    lines = -(-len(tables) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.6 * lines + 0.8), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True).flat
    names = list(dict.fromkeys(one.strategy for one in contests))
    colours = dict(zip(names, _COLOURS * 2, strict=False))
    for axis, table in zip(axes, tables, strict=False):
        for one in contests:
            if one.table != table:
                continue
            x = np.arange(1, one.regret.shape[1] + 1)
            lower, median, upper = np.percentile(one.regret, [25, 50, 75], axis=0)
            rank = names.index(one.strategy)
            axis.plot(
                x,
                median,
                "-" if rank < len(_COLOURS) else "--",
                color=colours[one.strategy],
                label=one.strategy,
                linewidth=2.5 if rank == 0 else 1.4,
                zorder=3 + len(names) - rank,  # the first, the default, on top
            )
            axis.fill_between(x, lower, upper, color=colours[one.strategy], alpha=0.12, lw=0)
        axis.set_title(table.replace(": ", ":\n"), fontsize=9)
        axis.set_yscale("symlog", linthresh=0.1)  # linear below, so that 0 has a place
        axis.set_ylim(bottom=0)
        axis.set_xlabel("distinct evaluations")
        axis.set_ylabel("regret of the reward")
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(file, dpi=110)


_COLOURS = ["#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#000000", "#999999"]
