"""Every strategy by name, a reward of blocks and pairs, and a search without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.evolution import EvolutionStrategy
from ean_transfer.search.strategies.greedy import GreedyStrategy
from ean_transfer.search.strategies.planned import ExhaustiveStrategy, HeuristicStrategy
from ean_transfer.search.strategies.random import RandomStrategy
from ean_transfer.search.strategies.reinforce import ReinforceStrategy
from ean_transfer.search.strategies.surrogate import SurrogateStrategy
from ean_transfer.ticket.mask import Mask

Make = Callable[..., Strategy]  # of blocks, seed and options


ALL: dict[str, Make] = {
    "random": RandomStrategy,
    "evolution": partial(EvolutionStrategy, population=6, tournament=2),
    "backward": GreedyStrategy,
    "forward": partial(GreedyStrategy, direction="forward"),
    "surrogate": SurrogateStrategy,
    "exhaustive": ExhaustiveStrategy,
    "heuristic": HeuristicStrategy,
    "reinforce": ReinforceStrategy,
}


class PairwiseReward:
    """A random function of single bits and pairs, of accuracy-like offset and scale."""

    def __init__(self, num_blocks: int, seed: int = 0) -> None:
        rng = np.random.default_rng([seed, num_blocks])
        self.main = rng.standard_normal(num_blocks) / np.sqrt(num_blocks)
        self.pairs = np.triu(rng.standard_normal((num_blocks, num_blocks)), 1) / num_blocks

    def __call__(self, masks: Sequence[Mask]) -> list[float]:
        return [
            60.0 + 3.0 * float(self._signs(m) @ (self.main + self.pairs @ self._signs(m)))
            for m in masks
        ]

    @staticmethod
    def _signs(mask: Mask) -> np.ndarray:
        return np.where(mask, 1.0, -1.0)


def run(strategy: Strategy, reward: PairwiseReward, steps: int, count: int = 3) -> list[list[Mask]]:
    """The masks of every step."""
    asked = []
    for _ in range(steps):
        masks = strategy.ask(count)
        assert len(masks) <= count
        strategy.tell(masks, reward(masks))
        asked.append(masks)
    return asked


def flat(steps: list[list[Mask]]) -> list[Mask]:
    return [mask for masks in steps for mask in masks]
