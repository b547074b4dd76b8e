"""The picture of a search can be drawn of every trace that a search leaves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from matplotlib.image import imread

from ean_transfer.search.figure import _connected_among_best, draw_search
from ean_transfer.search.pareto import Point
from ean_transfer.search.trace import TraceLine

BLOCKS = (2, 3)
NONE, FULL = (
    Point("00000", {"accuracy": 70.0, "loss": 1.2}, {"latency": 10.0}),
    Point("11111", {"accuracy": 72.0, "loss": 1.0}, {"latency": 12.0}),
)


def trace(steps: int, *, policy: bool, cost: bool) -> list[TraceLine]:
    draw, lines, seen = random.Random(0), [], set()
    for step in range(steps):
        mask = "".join(draw.choice("01") for _ in range(5))
        accuracy = 70 + draw.random()
        lines.append(
            TraceLine(
                step=step,
                mask=mask,
                values={"accuracy": accuracy, "loss": 1.0},
                sparsity=1 - mask.count("1") / 5,
                reward=accuracy,
                cached=mask in seen,
                policy=[0.5] * 5 if policy else None,
                cost=10 + mask.count("1") / 2 if cost else None,
            )
        )
        seen.add(mask)
    return lines


@pytest.mark.parametrize(
    ("steps", "policy", "cost", "chosen"),
    [
        (30, True, False, "00000"),
        (30, True, False, "first"),
        (30, False, True, "01010"),
        (1, False, False, "first"),
        (1, False, False, "00000"),
    ],
)
def test_draws_any_trace_and_a_ticket_that_is_a_reference_or_was_never_scored(
    tmp_path: Path, steps: int, policy: bool, cost: bool, chosen: str
) -> None:
    lines = trace(steps, policy=policy, cost=cost)
    lines = [line for line in lines if line.mask != "01010"]
    chosen = lines[0].mask if chosen == "first" else chosen
    options = dict(cost="latency", cost_unit="ms", none=NONE, full=FULL, chosen=chosen)
    file = draw_search(lines, tmp_path / "search.png", BLOCKS, **(options if cost else {}))
    assert imread(file).std() > 0.1  # not an empty page


def test_the_best_tenth_is_of_the_distinct_masks_so_far() -> None:
    def line(step: int, mask: str, reward: float) -> TraceLine:
        return TraceLine(step, mask, {"accuracy": reward}, 0.5, reward, False, None)

    lines = [line(0, "01", 1.0), line(1, "10", 2.0), line(2, "01", 1.0), line(3, "11", 1.5)]
    assert _connected_among_best(lines, range(4)) == {0: [0, 1], 1: [1, 0], 2: [1, 0], 3: [1, 0]}
    more = [line(4, f"{i:06b}", 0.1 * i) for i in range(20)]
    assert _connected_among_best(more, [4]) == {4: [0, 1, 0, 0, 1, 0.5]}  # of 010011 and 010010
