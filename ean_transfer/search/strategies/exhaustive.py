"""Strategies whose masks are known from the start; the simplest of them asks every mask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from ean_transfer.errors import ConfigError
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.ticket.mask import Mask, mask_of

_MOST_BLOCKS = 20


class PlannedStrategy(Strategy):
    """Asks masks known from the start, in their order; the rewards change nothing."""

    length: int  # masks planned, set by the subclass

    def __init__(self, blocks: Sequence[int], seed: int = 0) -> None:
        super().__init__(blocks, seed)
        self.position = 0

    @abstractmethod
    def planned(self, index: int) -> Mask:
        """The mask to be asked as the ``index``-th, from 0 to ``length`` - 1."""

    def ask(self, count: int) -> list[Mask]:
        start = self.position
        self.position = min(start + count, self.length)
        return [self.planned(index) for index in range(start, self.position)]

    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]


@STRATEGIES.register_module()
class ExhaustiveStrategy(PlannedStrategy):
    """Every mask once, in binary order with the first block as the highest bit.

    Args:
        blocks: Residual blocks a stage, at most 20 in all.
        seed: Without effect.

    Raises:
        ConfigError: If there are more blocks.
    """

    def __init__(self, blocks: Sequence[int], seed: int = 0) -> None:
        super().__init__(blocks, seed)
        if self.num_blocks > _MOST_BLOCKS:
            raise ConfigError(
                f"ExhaustiveStrategy asks 2^m masks and takes at most {_MOST_BLOCKS} blocks, found "
                f"{self.num_blocks}: use SurrogateStrategy or EvolutionStrategy"
            )
        self.length = 2**self.num_blocks

    def planned(self, index: int) -> Mask:
        return mask_of(f"{index:0{self.num_blocks}b}")
