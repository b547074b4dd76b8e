"""Seeds of new attention: its initial values are drawn apart from the network's.

Networks that differ only in their tickets must start from the same convolutions. So attention never
draws from the global generator; it has seeds of its own, which follow from the global one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stage_seed(index: int) -> int:
    """Seed of the attention of stage ``index``, counted from 0; its blocks add their number."""
    return (torch.initial_seed() + 1000 * (index + 1)) % 2**63


@contextmanager
def drawing_apart(seed: int) -> Iterator[None]:
    """Yield with the CPU's generator at a seed; on exit it is where it was before."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed the other devices' generators.
        torch.default_generator.manual_seed(seed)
        yield
