"""Paths and small things that many tests use."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
"""The project's root."""
CONFIGS = ROOT / "configs"


def quick_pairs(
    first: Iterable[Any], second: Iterable[Any], kinds: Sequence[tuple[Any, ...]]
) -> list[Any]:
    """The full product as parameters, of which one kind per pair is quick and the others slow.

    The pairs of the first two take turns among the kinds, so that each of the first meets all kinds
    quickly, and each of the second too, if there are enough of the other.
    """
    cases = []
    for (i, one), (j, other) in itertools.product(enumerate(first), enumerate(second)):
        for number, kind in enumerate(kinds):
            marks = () if number == (i + j) % len(kinds) else pytest.mark.slow
            cases.append(pytest.param(one, other, *kind, marks=marks))
    return cases
