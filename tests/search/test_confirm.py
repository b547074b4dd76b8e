"""The three rules each propose the mask they name."""

from __future__ import annotations

from ean_transfer.search.confirm import masks_of_rules
from ean_transfer.search.trace import TraceLine


def line(step: int, mask: str, reward: float) -> TraceLine:
    return TraceLine(step, mask, {"accuracy": reward, "loss": 0.0}, 0.5, reward, False, None)


def test_the_three_rules() -> None:
    trace = [line(0, "100", 9.0), line(1, "010", 5.0), line(2, "001", 4.0), line(2, "010", 5.0)]
    assert masks_of_rules(trace, (True, False, True), last_steps=2) == {
        "best_sampled": (True, False, False),
        "most_frequent": (False, True, False),
        "policy_argmax": (True, False, True),
    }
    assert "policy_argmax" not in masks_of_rules(trace, None, last_steps=2)
