"""Random search, the reference that any other strategy has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ean_transfer.io.checked import checked_arguments
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.space import Connections
from ean_transfer.ticket.mask import Mask, bits_of, mask_of


@STRATEGIES.register_module()
class RandomStrategy(Strategy):
    """Independent random masks, none of them twice, until all were asked.

    The reference any other strategy has to beat ("Random Search and Reproducibility for NAS",
    arXiv 1902.07638).

    Args:
        blocks: Number of residual blocks in each stage.
        seed: Seed of every draw.
        connections: How many blocks a mask may connect, see :class:`Strategy`.
        probability: Probability that a block is connected, strictly between 0 and 1.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        connections: Connections = None,
        *,
        probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5,
    ) -> None:
        super().__init__(blocks, seed, connections)
        self.probability = probability
        self.generator = np.random.default_rng(seed)
        self.seen: set[Mask] = set()

    def ask(self, count: int) -> list[Mask]:
        masks: list[Mask] = []
        for _ in range(count):
            mask = self.space.unseen(self.generator, self.seen, self.probability)
            if mask is None:
                break
            masks.append(mask)
            self.seen.add(mask)
        return masks

    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        self.seen.update(masks)

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.bit_generator.state,
            "seen": sorted(bits_of(mask) for mask in self.seen),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.seen = {mask_of(bits) for bits in state["seen"]}
