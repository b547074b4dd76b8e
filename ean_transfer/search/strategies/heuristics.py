"""The fixed schemes that people write by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, zip_longest

from ean_transfer.errors import ConfigError
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.exhaustive import PlannedStrategy
from ean_transfer.ticket.mask import Mask

_MOST_STAGES = 4  # of which all combinations are tried


def coarse_to_fine(last: int) -> list[int]:
    """0 to ``last``, so ordered that every beginning covers the range evenly: both ends, the
    middle, the quarters, ... ``last`` comes first."""
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
    """The first (last) n blocks of every stage, all of a stage with fewer."""
    return tuple(
        index >= size - n if last else index < n for size in blocks for index in range(size)
    )


def _whole_stages(blocks: Sequence[int], chosen: Sequence[int]) -> Mask:
    return tuple(stage in chosen for stage, size in enumerate(blocks) for _ in range(size))


RULES: dict[str, Callable[[Sequence[int]], Iterator[Mask]]] = {
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
        blocks: Residual blocks a stage.
        seed: Without effect.
        rules: Names among :data:`RULES`, in the order of their turns.

    Raises:
        ConfigError: If a rule is unknown, or there is none.
    """

    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        *,
        rules: Sequence[str] = ("every_k", "first_n", "last_n", "per_stage"),
    ) -> None:
        super().__init__(blocks, seed)
        known = ", ".join(RULES)
        if isinstance(rules, str) or not rules:
            raise ConfigError(f"HeuristicStrategy: rules are a list of {known}, found {rules!r}")
        for rule in rules:
            if rule not in RULES:
                raise ConfigError(f"HeuristicStrategy: the rules are {known}, found {rule!r}")
        turns = zip_longest(*(RULES[rule](self.blocks) for rule in rules))
        masks = dict.fromkeys(mask for turn in turns for mask in turn if mask is not None)
        self._masks = list(masks)
        self.length = len(self._masks)

    def planned(self, index: int) -> Mask:
        return self._masks[index]
