"""What every search strategy is: something to ask for masks and to tell their rewards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from ean_transfer.errors import ConfigError
from ean_transfer.registry import STRATEGIES
from ean_transfer.ticket.mask import Mask


class Strategy(ABC):
    """Proposes masks and learns from their rewards. Knows nothing of networks or data.

    Args:
        blocks: Residual blocks a stage; a mask has one bit for each, all stages in order.
        seed: Seeds every draw: the same seed and rewards give the same masks.
    """

    def __init__(self, blocks: Sequence[int], seed: int = 0) -> None:
        self.blocks = tuple(blocks)
        self.num_blocks = sum(self.blocks)
        self.seed = seed

    @abstractmethod
    def ask(self, count: int) -> list[Mask]:
        """Propose at most ``count`` masks; none at all once there is nothing left to propose."""

    @abstractmethod
    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        """Learn the rewards (higher is better) of the masks that were last asked for."""

    def probabilities(self) -> list[float] | None:
        """The present probability of each block to be connected; ``None`` without a policy."""
        return None

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on as if never stopped: tensors, numbers, strings, lists, dicts
        with text keys, and ``None``."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""


def build_strategy(cfg: Mapping[str, Any], blocks: Sequence[int], seed: int) -> Strategy:
    """Build a strategy from its config.

    Raises:
        ConfigError: If there is no such strategy, or it does not take an option.
    """
    if not isinstance(cfg, Mapping) or "type" not in cfg:
        raise ConfigError(
            "search.strategy is a dict with a type, e.g. dict(type='RandomStrategy'), found "
            f"{cfg!r}"
        )
    try:
        return STRATEGIES.build(dict(cfg, blocks=blocks, seed=seed))
    except (KeyError, TypeError) as error:
        reason = str(error).strip().strip("'\"").splitlines()[0]
        raise ConfigError(f"search.strategy {dict(cfg)}: {reason}") from None
