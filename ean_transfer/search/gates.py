"""Masks from block probabilities that were learned with relaxed gates."""

from __future__ import annotations

from collections.abc import Sequence

from ean_transfer.errors import ConfigError
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.exhaustive import PlannedStrategy
from ean_transfer.supernet.masks import Mask


@STRATEGIES.register_module()
class GatesStrategy(PlannedStrategy):
    """The blocks more likely than not, then the k likeliest for every other k, nearest k first.

    Learned gates say more about the order of the blocks than about how many to connect, so m + 1
    rewards settle the number. Of equally near k the sparser comes first; of equal probabilities
    the earlier block is the likelier.

    Args:
        blocks: Residual blocks a stage, m in all.
        seed: Without effect.
        probabilities: Of each block to be connected, in [0, 1].

    Raises:
        ConfigError: If there are not m probabilities, or one is not in [0, 1].
    """

    def __init__(
        self, blocks: Sequence[int], seed: int = 0, *, probabilities: Sequence[float]
    ) -> None:
        super().__init__(blocks, seed)
        if len(probabilities) != self.num_blocks:
            raise ConfigError(
                f"GatesStrategy: one probability a block, {self.num_blocks} in all, found "
                f"{len(probabilities)}"
            )
        for block, p in enumerate(probabilities):
            if not 0.0 <= p <= 1.0:
                raise ConfigError(
                    f"GatesStrategy: probabilities are in [0, 1], found {p} for block {block}"
                )
        self._probabilities = [float(p) for p in probabilities]
        order = sorted(range(self.num_blocks), key=lambda block: -self._probabilities[block])
        self._rank = {block: rank for rank, block in enumerate(order)}
        likely = sum(p > 0.5 for p in self._probabilities)
        self._sizes = sorted(range(self.num_blocks + 1), key=lambda k: (abs(k - likely), k))
        self.length = len(self._sizes)

    def planned(self, index: int) -> Mask:
        return tuple(self._rank[block] < self._sizes[index] for block in range(self.num_blocks))

    def probabilities(self) -> list[float]:
        return list(self._probabilities)
