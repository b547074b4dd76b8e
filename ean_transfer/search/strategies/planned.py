"""Strategies whose masks are known from the start: every mask, or people's usual schemes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, zip_longest
from typing import Annotated, Any, Literal

from pydantic import Field

from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.space import Connections
from ean_transfer.ticket.mask import Mask

_MOST_MASKS = 2**20  # that are all asked
_MOST_STAGES = 4  # whose combinations are all tried


class PlannedStrategy(Strategy):
    """Base of strategies that ask a fixed list of masks in order; rewards change nothing."""

    length: int  # number of planned masks; the subclass sets it

    def __init__(
        self, blocks: Sequence[int], seed: int = 0, connections: Connections = None
    ) -> None:
        super().__init__(blocks, seed, connections)
        self.position = 0

    @abstractmethod
    def planned(self, index: int) -> Mask:
        """The mask at a position of the list, from 0 to ``length`` - 1."""

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
        blocks: Number of residual blocks in each stage.
        seed: Without effect.
        connections: How many blocks a mask may connect, see :class:`Strategy`.

    Raises:
        ConfigError: There are more than 2^20 masks, those of 20 blocks.
    """

    @checked_arguments
    def __init__(
        self, blocks: Sequence[int], seed: int = 0, connections: Connections = None
    ) -> None:
        super().__init__(blocks, seed, connections)
        self.length = self.space.size
        if self.length > _MOST_MASKS:
            raise ConfigError(
                "ExhaustiveStrategy asks every mask and takes at most 2^20, those of 20 blocks, "
                f"found {self.length} ({self.num_blocks} blocks): use SurrogateStrategy or "
                "EvolutionStrategy"
            )

    def planned(self, index: int) -> Mask:
        return self.space.mask(index)


# -- schemes of people ------------------------------------------------------------------------


def coarse_to_fine(last: int) -> list[int]:
    """The numbers 0 to ``last``, ordered so that every beginning covers the range evenly.

    ``last`` comes first, then 0, the middle, the quarters, and so on.
    """
    order = [last, 0]
    parts = 2
    while len(set(order)) <= last:
        order += [round(last * part / parts) for part in range(1, parts, 2)]
        parts *= 2
    return list(dict.fromkeys(order))


def every_k(blocks: Sequence[int]) -> Iterator[Mask]:
    """Every k-th block, for k = 1, 2, ... m and every offset."""
    m = sum(blocks)
    for k in range(1, m + 1):
        for offset in range(k):
            yield tuple(block % k == offset for block in range(m))


def first_n(blocks: Sequence[int]) -> Iterator[Mask]:
    """The first n blocks of the network, for n from 0 to m."""
    m = sum(blocks)
    for n in coarse_to_fine(m):
        yield tuple(block < n for block in range(m))


def last_n(blocks: Sequence[int]) -> Iterator[Mask]:
    """The last n blocks of the network, for n from 0 to m."""
    m = sum(blocks)
    for n in coarse_to_fine(m):
        yield tuple(block >= m - n for block in range(m))


def per_stage(blocks: Sequence[int]) -> Iterator[Mask]:
    """The first or last n blocks of every stage, single stages, and sets of whole stages.

    Sets of more than one stage only for networks of at most four stages.
    """
    yield _ends_of_stages(blocks, 1, last=False)
    yield _ends_of_stages(blocks, 1, last=True)
    stages = range(len(blocks))
    for size in range(1, len(blocks) if len(blocks) <= _MOST_STAGES else 2):
        for chosen in combinations(reversed(stages), size):
            yield _whole_stages(blocks, chosen)
    for n in range(2, max(blocks)):
        yield _ends_of_stages(blocks, n, last=False)
        yield _ends_of_stages(blocks, n, last=True)
    yield _whole_stages(blocks, stages)
    yield _whole_stages(blocks, ())


def _ends_of_stages(blocks: Sequence[int], n: int, last: bool) -> Mask:
    """The first (last) n blocks of every stage; all blocks of a stage that has fewer."""
    return tuple(
        index >= size - n if last else index < n for size in blocks for index in range(size)
    )


def _whole_stages(blocks: Sequence[int], chosen: Sequence[int]) -> Mask:
    return tuple(stage in chosen for stage, size in enumerate(blocks) for _ in range(size))


Rule = Literal["every_k", "first_n", "last_n", "per_stage"]

RULES: dict[Rule, Callable[[Sequence[int]], Iterator[Mask]]] = {
    "every_k": every_k,
    "first_n": first_n,
    "last_n": last_n,
    "per_stage": per_stage,
}


@STRATEGIES.register_module()
class HeuristicStrategy(PlannedStrategy):
    """Every mask that the rules make, none twice, the most usual first.

    Each rule orders its masks from usual to far-fetched, and the rules take turns.

    Args:
        blocks: Number of residual blocks in each stage.
        seed: Without effect.
        connections: How many blocks a mask may connect, see :class:`Strategy`; the rules' other
            masks are left out.
        rules: Names among :data:`RULES`, in the order of their turns.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        connections: Connections = None,
        *,
        rules: Annotated[Sequence[Rule], Field(min_length=1)] = tuple(RULES),
    ) -> None:
        super().__init__(blocks, seed, connections)
        turns = zip_longest(*(RULES[rule](self.blocks) for rule in rules))
        masks = dict.fromkeys(mask for turn in turns for mask in turn if mask)
        self._masks = [mask for mask in masks if mask in self.space]
        self.length = len(self._masks)

    def planned(self, index: int) -> Mask:
        return self._masks[index]
