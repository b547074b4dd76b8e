"""Random draws that depend on a key alone, and leave the program's own generators as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def drawing(*key: int) -> Iterator[None]:
    """Yield with all generators on the CPU seeded by a key; at the end they are as they were.

    Args:
        *key: Natural numbers. Keys of one length all give other draws; zeros at the end of a longer
            one are as if they were not there.
    """
    with kept_generators():
        seed_generators(*key)
        yield


def seed_generators(*key: int, devices: bool = False) -> None:
    """Seed all generators on the CPU by a key.

    Args:
        *key: Natural numbers. Keys of one length all give other draws; zeros at the end of a longer
            one are as if they were not there.
        devices: Whether torch's generators on other devices are seeded, too.
    """
    first, second, third = np.random.SeedSequence(key).generate_state(3).tolist()
    random.seed(first)
    np.random.seed(second)
    (torch if devices else torch.default_generator).manual_seed(third)


@contextmanager
def kept_generators() -> Iterator[None]:
    """Yield, and put all generators on the CPU back to where they were."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
