"""Aging evolution: mutation and crossover of the masks told last."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Positive, PositiveNumber, Share, checked_arguments
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.space import Connections
from ean_transfer.ticket.mask import Mask, bits_of, mask_of

_TRIES = 50  # draws of a child before a random mask takes its place


@STRATEGIES.register_module()
class EvolutionStrategy(Strategy):
    """Aging, or regularised, evolution (Real et al. 2019, arXiv 1802.01548).

    The population is the last masks told, whatever their rewards: the oldest dies. A parent is the
    best of a random tournament; a child is a mutated copy of it, or of the uniform crossover of
    two. The paper has mutation alone and populations of 100 for 20000 evaluations; the defaults
    are for 32 to 1000, where a tournament of half the population, not a quarter, gains more.

    A child that was asked before is drawn again; after some tries a random new mask takes its
    place. Masks are repeated only once the whole space was asked.

    Args:
        blocks: Number of residual blocks in each stage.
        seed: Seed of every draw.
        connections: How many blocks a mask may connect, see :class:`Strategy`. A child with too
            many or too few gets random ones less or more, so that under an exact number a mutation
            moves connections.
        population: Number of masks alive, at least 2; as many random masks are asked first.
        tournament: Number of masks drawn, without replacement, to find a parent; 1 selects nothing.
        crossover: Probability that a child has two parents, each giving a bit by a fair coin.
        mutation: Mean number of bits of a child that are flipped; at least one is if the child
            would otherwise equal its parent.

    Raises:
        ConfigError: The tournament is larger than the population, or more bits are to be flipped
            than there are blocks.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        connections: Connections = None,
        *,
        population: Annotated[int, Field(ge=2)] = 16,
        tournament: Positive = 8,
        crossover: Share = 0.5,
        mutation: PositiveNumber = 1.0,
    ) -> None:
        super().__init__(blocks, seed, connections)
        limits = {"tournament": (tournament, population), "mutation": (mutation, self.num_blocks)}
        for name, (value, most) in limits.items():
            if value > most:
                raise ConfigError(f"EvolutionStrategy: expected {name} <= {most}, found {value}")
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
            mask = mask or self.space.unseen(self.generator, self.seen)
            mask = mask or self._repeat()
            masks.append(mask)
            self.seen.add(mask)
        return masks

    def _unseen_child(self) -> Mask | None:
        if len(self.seen) == self.space.size:
            return None
        for _ in range(_TRIES):
            if (child := self._child()) not in self.seen:
                return child
        return None

    def _repeat(self) -> Mask:
        """A mask that was asked before, once there is no other."""
        if len(self.alive) >= self.tournament:
            return self._child()
        return tuple(self.space.draw(self.generator).tolist())

    def _child(self) -> Mask:
        parent = self._parent()
        bits = parent.copy()
        if self.generator.random() < self.crossover:
            bits = np.where(self.generator.random(self.num_blocks) < 0.5, parent, self._parent())
        bits = bits ^ (self.generator.random(self.num_blocks) < self.mutation / self.num_blocks)
        if (bits == parent).all():
            bits[self.generator.integers(self.num_blocks)] ^= True
        return tuple(self.space.repaired(bits, self.generator).tolist())

    def _parent(self) -> np.ndarray:
        """(m,) bool: the mask of the highest reward in a tournament."""
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
