"""The picture of a search can be drawn of every trace that a search leaves."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
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
    ("steps", "policy", "cost", "chosen", "marked"),
    [
        (30, True, False, "01010", []),
        (30, True, False, "first", ["ticket"]),
        (30, False, True, "01010", ["none", "full"]),
        (30, False, True, "00000", ["none = ticket", "full"]),
        (1, False, False, "first", ["ticket"]),
        (1, False, False, "00000", []),
    ],
)
def test_draws_any_trace_and_a_ticket_that_is_a_reference_or_was_never_scored(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    policy: bool,
    cost: bool,
    chosen: str,
    marked: list[str],
) -> None:
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: figures.append(self) or save(self, *a, **k)
    )
    lines = trace(steps, policy=policy, cost=cost)
    lines = [line for line in lines if line.mask != "01010"]
    chosen = lines[0].mask if chosen == "first" else chosen
    options = dict(cost="latency", cost_unit="ms", none=NONE, full=FULL) if cost else {}
    file = draw_search(lines, tmp_path / "search.png", BLOCKS, chosen=chosen, **options)
    assert imread(file).std() > 0.1  # not an empty page
    rewards, blocks, costs, *_ = figures[0].axes
    of_masks, best = (line.get_ydata() for line in rewards.lines)
    distinct = {line.mask: line.reward for line in reversed(lines)}
    assert sorted(of_masks) == sorted(distinct.values())
    assert list(best) == np.maximum.accumulate(of_masks).tolist()
    picture = blocks.images[0].get_array()
    assert picture.shape == (sum(BLOCKS), len({line.step for line in lines}))
    assert (picture == 0.5).all() == policy
    points = costs.lines[0].get_xydata()
    assert len(points) == len(distinct) + 2 * cost
    assert [text.get_text() for text in costs.texts] == marked


def test_the_best_tenth_is_of_the_distinct_masks_so_far() -> None:
    def line(step: int, mask: str, reward: float) -> TraceLine:
        return TraceLine(step, mask, {"accuracy": reward}, 0.5, reward, False, None)

    lines = [line(0, "01", 1.0), line(1, "10", 2.0), line(2, "01", 1.0), line(3, "11", 1.5)]
    assert _connected_among_best(lines, range(4)) == {0: [0, 1], 1: [1, 0], 2: [1, 0], 3: [1, 0]}
    more = [line(4, f"{i:06b}", 0.1 * i) for i in range(20)]
    assert _connected_among_best(more, [4]) == {4: [0, 1, 0, 0, 1, 0.5]}  # of 010011 and 010010
