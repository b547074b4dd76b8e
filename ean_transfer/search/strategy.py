"""What every search strategy is: something to ask for masks and to tell their rewards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ean_transfer.supernet.masks import Mask


class Strategy(ABC):
    """Proposes masks and learns from their rewards. Knows nothing of networks or data.

    Args:
        num_blocks: Length of a mask.
        seed: Seeds every draw: the same seed and rewards give the same masks.
    """

    def __init__(self, num_blocks: int, seed: int) -> None:
        self.num_blocks = num_blocks
        self.seed = seed

    @abstractmethod
    def ask(self, count: int) -> list[Mask]:
        """Propose ``count`` masks."""

    @abstractmethod
    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        """Learn the rewards (higher is better) of masks that were asked for."""

    def probabilities(self) -> list[float] | None:
        """The present probability of each block to be connected; ``None`` without a policy."""
        return None

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on as if never stopped: tensors, numbers, strings, lists."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
