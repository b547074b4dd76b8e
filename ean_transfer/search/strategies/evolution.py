"""Aging evolution."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from ean_transfer.errors import ConfigError
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.random import unseen_mask
from ean_transfer.ticket.mask import Mask, bits_of, mask_of

_TRIES = 50


@STRATEGIES.register_module()
class EvolutionStrategy(Strategy):
    """Aging, or regularised, evolution (Real et al. 2019, arXiv 1802.01548).

    The population is the last masks told, whatever their rewards: the oldest dies. A parent is the
    best of a random tournament; a child is a mutated copy of it, or of the uniform crossover of
    two. The paper has mutation alone and populations of 100 for 20000 evaluations; the defaults
    are for 32 to 1000, where a tournament of half the population, not a quarter, gains more.

    Children that were asked before are drawn again, after some tries replaced by random masks, and
    repeated only when the whole space was asked.

    Args:
        blocks: Residual blocks a stage.
        seed: Seeds every draw.
        population: Masks alive, at least 2; so many random masks come first.
        tournament: Masks drawn, without replacement, to find a parent; 1 selects nothing.
        crossover: Probability of a child to have two parents, each giving a bit by a fair coin.
        mutation: Bits of a child that are flipped, in the mean; at least one is if the child would
            be its parent's twin.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        *,
        population: int = 16,
        tournament: int = 8,
        crossover: float = 0.5,
        mutation: float = 1.0,
    ) -> None:
        super().__init__(blocks, seed)
        if population < 2:
            raise ConfigError(f"EvolutionStrategy: population is at least 2, found {population}")
        if not 1 <= tournament <= population:
            raise ConfigError(
                f"EvolutionStrategy: tournament is from 1 to the population of {population}, "
                f"found {tournament}"
            )
        if not 0.0 <= crossover <= 1.0:
            raise ConfigError(f"EvolutionStrategy: crossover is in [0, 1], found {crossover}")
        if not 0.0 < mutation <= self.num_blocks:
            raise ConfigError(
                f"EvolutionStrategy: mutation is a mean number of bits, above 0 and at most the "
                f"{self.num_blocks} blocks, found {mutation}"
            )
        self.population = population
        self.tournament = tournament
        self.crossover = crossover
        self.mutation = mutation
        self.generator = np.random.default_rng(seed)
        self.alive: deque[tuple[Mask, float]] = deque(maxlen=population)
        self.seen: set[Mask] = set()

    def ask(self, count: int) -> list[Mask]:
        masks: list[Mask] = []
        for _ in range(count):
            mask = self._unseen_child() if len(self.alive) == self.population else None
            mask = mask or unseen_mask(self.generator, self.num_blocks, self.seen)
            mask = mask or self._repeat()
            masks.append(mask)
            self.seen.add(mask)
        return masks

    def _unseen_child(self) -> Mask | None:
        if len(self.seen) == 2**self.num_blocks:
            return None
        for _ in range(_TRIES):
            if (child := self._child()) not in self.seen:
                return child
        return None

    def _repeat(self) -> Mask:
        """A mask for when all were asked."""
        if len(self.alive) >= self.tournament:
            return self._child()
        return tuple((self.generator.random(self.num_blocks) < 0.5).tolist())

    def _child(self) -> Mask:
        parent = self._parent()
        bits = parent.copy()
        if self.generator.random() < self.crossover:
            bits = np.where(self.generator.random(self.num_blocks) < 0.5, parent, self._parent())
        bits = bits ^ (self.generator.random(self.num_blocks) < self.mutation / self.num_blocks)
        if (bits == parent).all():
            bits[self.generator.integers(self.num_blocks)] ^= True
        return tuple(bits.tolist())

    def _parent(self) -> np.ndarray:
        """(m,) bool: the best of a tournament."""
        entrants = self.generator.choice(len(self.alive), self.tournament, replace=False)
        return np.array(max((self.alive[i] for i in entrants), key=lambda one: one[1])[0])

    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        self.seen.update(masks)
        self.alive.extend(
            (mask, float(reward)) for mask, reward in zip(masks, rewards, strict=True)
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.bit_generator.state,
            "alive": [[bits_of(mask), reward] for mask, reward in self.alive],
            "seen": sorted(bits_of(mask) for mask in self.seen),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.alive = deque(
            ((mask_of(bits), reward) for bits, reward in state["alive"]), maxlen=self.population
        )
        self.seen = {mask_of(bits) for bits in state["seen"]}
