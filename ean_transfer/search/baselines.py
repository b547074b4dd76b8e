"""Masks that need no search: the rules of thumb and random masks that a ticket is shown against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ean_transfer.search.strategies.space import MaskSpace
from ean_transfer.ticket.mask import Mask

_RANDOM = 3  # random masks


def last_blocks(num_blocks: int, count: int) -> Mask:
    """The mask that connects the last ``count`` blocks."""
    return tuple(block >= num_blocks - count for block in range(num_blocks))


RULES: dict[str, Callable[[int], Mask]] = {
    "late2": lambda num_blocks: last_blocks(num_blocks, 2),
    "first_half": lambda num_blocks: tuple(b < num_blocks // 2 for b in range(num_blocks)),
    "every_other": lambda num_blocks: tuple(b % 2 == 1 for b in range(num_blocks)),
}
"""Rule of thumb -> function of the number of blocks to its mask.

Attention in the last two blocks is PP-LCNet's rule (Cui et al. 2021, arXiv 2109.15099).
"""


def baselines(blocks_per_stage: Sequence[int], connections: int, seed: int) -> dict[str, Mask]:
    """Masks that a ticket should beat: rules of thumb, and random ones of as many connections.

    Args:
        blocks_per_stage: Number of residual blocks in each stage.
        connections: Number of connections of the ticket.
        seed: Seed of the random masks.

    Returns:
        Name -> mask. No two masks are equal, and none and full are not among them.
    """
    m = sum(blocks_per_stage)
    rules = {
        "last two blocks": RULES["late2"](m),
        "as many at the end": last_blocks(m, connections),
        "first half": RULES["first_half"](m),
        "every other": RULES["every_other"](m),
    }
    names: dict[Mask, str] = {(False,) * m: "none", (True,) * m: "full"}
    for name, mask in rules.items():
        names.setdefault(mask, name)
    space, generator = MaskSpace(m, connections), np.random.default_rng(seed)
    for number in range(1, _RANDOM + 1):
        mask_or_none = space.unseen(generator, {mask for mask in names if mask in space})
        if mask_or_none is not None:
            names[mask_or_none] = f"random {number}"
    return {name: mask for mask, name in names.items() if name not in ("none", "full")}
