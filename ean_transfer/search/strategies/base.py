"""Base of every search strategy: it is asked for masks and told their rewards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from ean_transfer.errors import ConfigError
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.space import Connections, MaskSpace
from ean_transfer.ticket.mask import Mask


class Strategy(ABC):
    """Base of strategies: proposes masks and learns from their rewards, without any network.

    Args:
        blocks: Number of residual blocks in each stage; a mask has one bit per block, all stages
            in order.
        seed: Seed of every draw: the same seed and rewards give the same masks.
        connections: How many blocks a mask may connect, e.g. ``4`` or ``(2, 5)``; by default any
            number.

    Attributes:
        space: The masks that may be proposed.

    Raises:
        ConfigError: No mask has such a number of connections.
    """

    def __init__(
        self, blocks: Sequence[int], seed: int = 0, connections: Connections = None
    ) -> None:
        self.blocks = tuple(blocks)
        self.num_blocks = sum(self.blocks)
        self.seed = seed
        self.space = MaskSpace(self.num_blocks, connections)

    @abstractmethod
    def ask(self, count: int) -> list[Mask]:
        """Propose at most ``count`` masks of the space; none once nothing is left to propose."""

    @abstractmethod
    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        """Learn the rewards (higher is better) of the masks that were last asked for."""

    def probabilities(self) -> list[float] | None:
        """Present probability that each block is connected; ``None`` without a policy."""
        return None

    def likeliest(self) -> Mask | None:
        """The mask that is most probable at present; ``None`` without a policy."""
        return None

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that a strategy needs to continue as if it had never stopped.

        It consists of tensors, numbers, strings, lists, dicts with text keys, and ``None``.
        """

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""


def build_strategy(cfg: Mapping[str, Any], blocks: Sequence[int], seed: int) -> Strategy:
    """Build a strategy from its config.

    Args:
        cfg: Type and options of the strategy.
        blocks: Number of residual blocks in each stage.
        seed: Seed of the strategy.

    Raises:
        ConfigError: There is no such strategy, or an option is unknown or has a wrong value.
    """
    try:
        return STRATEGIES.build({**cfg, "blocks": blocks, "seed": seed})
    except (KeyError, TypeError) as error:  # the registry's, and those of users' strategies
        reason = str(error).strip().strip("'\"").splitlines()[0]
        raise ConfigError(f"search.strategy {dict(cfg)}: {reason}") from None
