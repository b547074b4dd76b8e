"""Regret over passes through the held-out images, by the number of masks that a pass scores.

python -m benchmarks.masks_per_pass [--seeds 30] [--out docs/results/masks_per_pass.json]

Where a pass is dear, many masks share one: but a strategy that asks for many at a time has learned
less before each of them. On the shipped tables, with the default reward.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.strategies import CASES, CONTESTANTS, passes, table_rewards
from benchmarks.tables import ScoreTable, shipped_tables
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy

STRATEGY_NAMES = ("surrogate", "evolution", "reinforce")
MASKS = (1, 3, 8, 16, 32)
PASSES = (2, 4, 8, 16, 32)
BN, REWARD = CASES["-100 loss + 0.5 sparsity, batch statistics"]


def regrets(strategy: Strategy, rewards: Mapping[str, float], masks: int) -> list[float]:
    """The regret after each of :data:`PASSES`; a search that has ended keeps its own.

    Args:
        strategy: A new strategy.
        rewards: The reward of every mask, by its bits.
        masks: Number of masks asked for at a time. A pass scores those that are new.
    """
    best = max(rewards.values())
    of_passes = [
        max(map(rewards.__getitem__, new))
        for new in islice(passes(strategy, rewards, masks), max(PASSES))
    ]
    return [best - max(of_passes[:number]) for number in PASSES]


def measure(seeds: int) -> dict[str, dict[int, list[float]]]:
    """Strategy -> masks of a pass -> mean regret over tables and seeds, after :data:`PASSES`."""
    every = []
    for file in shipped_tables().values():
        table = ScoreTable.load(file)
        every.append((table.blocks, table_rewards(table, BN, REWARD)))
    return {
        name: {
            masks: np.mean(
                [
                    regrets(
                        STRATEGIES.build(dict(CONTESTANTS[name], blocks=blocks, seed=seed)),
                        rewards,
                        masks,
                    )
                    for blocks, rewards in every
                    for seed in range(seeds)
                ],
                axis=0,
            ).tolist()
            for masks in MASKS
        }
        for name in STRATEGY_NAMES
    }


def rows(every: Mapping[str, Mapping[int, list[float]]]) -> list[list[str]]:
    """One row per strategy and number of masks."""
    table = [["strategy", "masks of a pass", *(f"{number} passes" for number in PASSES)]]
    for name, by_masks in every.items():
        for masks, means in by_masks.items():
            table.append([name, str(masks), *(f"{mean:.3f}" for mean in means)])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--out", type=Path, help="JSON file for every mean")
    arguments = parser.parse_args()
    every = measure(arguments.seeds)
    print(markdown(rows(every)))
    if arguments.out:
        write_atomically(arguments.out, json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
