"""What becomes of freed memory, measured."""

from __future__ import annotations

import pytest
from torch import nn

from benchmarks import allocator

IMAGES = (2, 3, 8, 8)


def test_a_training_is_measured_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {"toy": (lambda: nn.Conv2d(3, 4, 3), IMAGES)}
    monkeypatch.setattr(allocator, "NETWORKS", networks)
    measured = allocator.train("toy")
    assert measured["seconds"] > 0 and measured["megabytes"] > 0 and measured["pages"] >= 0


def test_seconds_are_compared_with_those_of_the_library_as_it_comes() -> None:
    seconds = {"as it comes": 2.0, "below a Dask worker": 4.0, "kept": 1.0}
    arms = {arm: {"seconds": s, "pages": 1.0, "megabytes": 1.0} for arm, s in seconds.items()}
    assert seconds.keys() == allocator.ARMS.keys()
    assert [row[3] for row in allocator.rows({"toy": arms})[1:]] == ["1.00", "2.00", "0.50"]
