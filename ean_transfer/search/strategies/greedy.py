"""Greedy elimination or selection of connections, then local search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ean_transfer.io.checked import checked_arguments
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.space import Connections, evenly_spread, flipped
from ean_transfer.ticket.mask import Mask, bits_of, mask_of


@STRATEGIES.register_module()
class GreedyStrategy(Strategy):
    """Drops (adds) one connection at a time until none (all) are left; then climbs hills.

    Backward starts with every connection and drops the one that costs least, forward starts with
    none and adds the one that helps most. A round is the current mask and all that drop (add) one
    connection; the best of these is the next current mask, even when it is worse. The whole path
    takes m (m + 1) / 2 + 1 masks. After it, hill climbing by single bits starts from the best mask
    seen; at a local optimum it starts again from a random mask not seen yet. Masks whose rewards
    are known are not asked again. Of equal rewards the earlier block's mask wins.

    An ``ask`` ends with its round, so it may propose fewer masks than it could.

    Args:
        blocks: Number of residual blocks in each stage, m in all.
        seed: Seed of the random masks that climbing restarts from.
        connections: How many blocks a mask may connect, see :class:`Strategy`. The path then starts
            from as many evenly spread connections as there may be at most (at least), and climbing
            also moves connections.
        direction: ``"backward"`` or ``"forward"``.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        connections: Connections = None,
        *,
        direction: Literal["backward", "forward"] = "backward",
    ) -> None:
        super().__init__(blocks, seed, connections)
        self.generator = np.random.default_rng(seed)
        self.drops = direction == "backward"
        self.climbs = False
        start = self.space.high if self.drops else self.space.low
        self.current = evenly_spread(self.num_blocks, start)
        self.rewards: dict[Mask, float] = {}

    def ask(self, count: int) -> list[Mask]:
        return [mask for mask in self._round() if mask not in self.rewards][:count]

    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        self.rewards.update(zip(masks, map(float, rewards), strict=True))
        while all(mask in self.rewards for mask in self._round()):
            if len(self.rewards) == self.space.size:
                return
            self._move()

    def _round(self) -> list[Mask]:
        return [self.current, *self._neighbours()]

    def _neighbours(self) -> list[Mask]:
        """The masks that the current one may become in one move."""
        if self.climbs:
            return self.space.neighbours(self.current)
        changed = [block for block, bit in enumerate(self.current) if bit == self.drops]
        return [mask for mask in flipped(self.current, changed) if mask in self.space]

    def _move(self) -> None:
        """Go to the next current mask, now that every reward of the round is known."""
        neighbours = self._neighbours()
        if not neighbours:
            self.climbs = True
            self.current = max(self.rewards, key=self.rewards.__getitem__)
            return
        best = max(neighbours, key=self.rewards.__getitem__)
        if not self.climbs or self.rewards[best] > self.rewards[self.current]:
            self.current = best
            return
        start = self.space.unseen(self.generator, self.rewards)
        assert start is not None  # tell() stops when all are known
        self.current = start

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.bit_generator.state,
            "climbs": self.climbs,
            "current": bits_of(self.current),
            "rewards": {bits_of(mask): reward for mask, reward in self.rewards.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.climbs = state["climbs"]
        self.current = mask_of(state["current"])
        self.rewards = {mask_of(bits): reward for bits, reward in state["rewards"].items()}
