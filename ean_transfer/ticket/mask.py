"""Masks: one truth value per residual block, all stages in order, as tuples and as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

Mask = tuple[bool, ...]
"""One truth value per residual block: is it connected?"""


def bits_of(mask: Iterable[bool | int]) -> str:
    """A mask as text, one ``0`` or ``1`` per block."""
    return "".join("1" if bit else "0" for bit in mask)


def mask_of(bits: str) -> Mask:
    """The mask that :func:`bits_of` wrote."""
    return tuple(bit == "1" for bit in bits)


def sparsity(mask: Sequence[bool | int]) -> float:
    """Share of the blocks *without* attention, in [0, 1]."""
    return 1.0 - sum(mask) / len(mask)


def all_masks(num_blocks: int) -> list[Mask]:
    """All ``2**num_blocks`` masks of a network, counting up in binary."""
    return list(product((False, True), repeat=num_blocks))


def random_mask(num_blocks: int, seed: int, index: int, probability: float = 0.5) -> Mask:
    """The ``index``-th mask of a seeded stream, each bit 1 with the given probability.

    Every mask has its own generator, so that a resumed training, or another rank, draws the same
    one.
    """
    import numpy as np  # only here: reading tickets must not wait for it

    draws = np.random.default_rng([seed, index]).random(num_blocks)
    return tuple(bool(draw < probability) for draw in draws)
