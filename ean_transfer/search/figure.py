"""The figure of a search: rewards, blocks over the steps, and quality over cost."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from math import ceil
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ean_transfer.search.pareto import Point, front
from ean_transfer.search.trace import TraceLine
from ean_transfer.search.verdict import Verdict
from ean_transfer.search.worthwhile import CERTAIN
from ean_transfer.supernet.scoring import ACCURACY, Metric
from ean_transfer.visualization.palette import BLUE, GREY, ORANGE, VERMILION

_MOST_COLUMNS = 400  # of the image of blocks over steps; more would not be visible
_MOST_FINALISTS = 16  # in the last panel, besides none and full


def draw_search(
    trace: Sequence[TraceLine],
    path: Path,
    blocks: Sequence[int],
    *,
    reward_unit: str = "points",
    cost: str = "sparsity",
    cost_unit: str = "share of blocks connected",
    quality: Metric = ACCURACY,
    none: Point | None = None,
    full: Point | None = None,
    chosen: str | None = None,
    verdict: Verdict | None = None,
) -> Path:
    """Draw rewards, the blocks that were connected over the steps, quality over cost, finalists.

    Args:
        trace: The scored masks in order.
        path: Path of the PNG.
        blocks: Number of blocks in each stage, to label the blocks' rows.
        reward_unit: Unit of the trace's rewards.
        cost: Name of the trace's costs. If the trace has none, the share connected is drawn.
        cost_unit: Unit of the trace's costs.
        quality: What masks are compared by.
        none: Point of the plain network, to be marked.
        full: Point of the network with every connection, to be marked.
        chosen: Bits of the ticket's mask, to be marked if it was scored.
        verdict: The finalists with their errors; without one they are not drawn.

    Returns:
        The path.
    """
    heights = [2.6, max(2.0, min(6.0, 0.16 * sum(blocks) + 0.6)), 3.6]
    if verdict is not None:
        heights.append(0.8 + 0.2 * min(len(verdict.finalists), _MOST_FINALISTS))
    figure = Figure(figsize=(8, sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, height_ratios=heights)
    scored = list({line.mask: line for line in reversed(trace)}.values())[::-1]  # first of each
    _draw_rewards(panels[0], scored, reward_unit)
    _draw_blocks(panels[1], trace, blocks)
    if any(line.cost is None for line in scored):
        cost, cost_unit = "sparsity", "share of blocks connected"
    label = cost_unit if cost in ("sparsity", "params", "macs") else f"{cost} ({cost_unit})"
    points = [
        Point(line.mask, line.values, {} if line.cost is None else {cost: line.cost})
        for line in scored
    ]
    _draw_costs(panels[2], points, cost, label, quality, none, full, chosen)
    if verdict is not None:
        _draw_finalists(panels[3], verdict, blocks)
    figure.savefig(path, dpi=130)
    return path


def _draw_rewards(axes: Axes, scored: Sequence[TraceLine], unit: str) -> None:
    count = range(1, len(scored) + 1)
    rewards = [line.reward for line in scored]
    axes.plot(count, rewards, ".", markersize=4, alpha=0.6, color=BLUE, label="mask")
    best = list(accumulate(rewards, max))
    axes.step(count, best, where="post", color=VERMILION, label="best so far")
    axes.set_xlabel("distinct masks scored")
    axes.set_ylabel(f"reward ({unit})")
    axes.legend(loc="lower right", fontsize=8)


def _draw_blocks(axes: Axes, trace: Sequence[TraceLine], blocks: Sequence[int]) -> None:
    """The policy's probabilities, or the connections of the best masks so far, over the steps."""
    columns = {line.step: line.policy for line in trace if line.policy is not None}
    title = "probability of\na connection"
    steps = sorted(columns or {line.step for line in trace})
    steps = steps[:: ceil(len(steps) / _MOST_COLUMNS) or 1]
    if not columns:
        columns = _connected_among_best(trace, steps)
        title = "share connected among\nthe best 10 % so far"
    image = axes.imshow(
        list(zip(*(columns[step] for step in steps), strict=True)),
        aspect="auto",
        vmin=0,
        vmax=1,
        cmap="RdBu_r",
        interpolation="nearest",
        extent=(steps[0] - 0.5, steps[-1] + 0.5, sum(blocks) - 0.5, -0.5),
    )
    labels = [f"{s}.{b}" for s, n in enumerate(blocks, 1) for b in range(1, n + 1)]
    every = ceil(len(labels) / 36)
    axes.set_yticks(range(0, len(labels), every), labels[::every], fontsize=7)
    for last in list(accumulate(blocks))[:-1]:
        axes.axhline(last - 0.5, color="black", linewidth=0.6)
    axes.set_ylabel("stage.block")
    axes.set_xlabel("step")
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes, label=title)


def _connected_among_best(
    trace: Sequence[TraceLine], steps: Collection[int]
) -> dict[int, list[float]]:
    """How often each block is connected in the best tenth of the masks so far, at some steps."""
    last = {line.step: line for line in trace}
    ranked: list[tuple[float, str]] = []
    seen: set[str] = set()
    columns: dict[int, list[float]] = {}
    for line in trace:
        if line.mask not in seen:
            seen.add(line.mask)
            insort(ranked, (-line.reward, line.mask))
        if line.step in steps and line is last[line.step]:
            best = [mask for _, mask in ranked[: ceil(len(ranked) / 10)]]
            columns[line.step] = [bits.count("1") / len(best) for bits in zip(*best, strict=True)]
    return columns


def _draw_costs(
    axes: Axes,
    points: Sequence[Point],
    cost: str,
    label: str,
    quality: Metric,
    none: Point | None,
    full: Point | None,
    chosen: str | None,
) -> None:
    references = {name: p for name, p in (("none", none), ("full", full)) if p is not None}

    def value(p: Point) -> float:
        return p.values[quality.name]

    everything = [*points, *references.values()]
    axes.plot(
        [p.cost(cost) for p in everything],
        [value(p) for p in everything],
        ".",
        markersize=5,
        alpha=0.5,
        color=BLUE,
        label="mask",
    )
    best = front(everything, quality, cost)
    # Drawn on to the right edge: no mask that costs more is better.
    end = max(p.cost(cost) for p in everything)
    axes.step(
        [*(p.cost(cost) for p in best), end],
        [*(value(p) for p in best), value(best[-1])],
        where="post",
        color=ORANGE,
        linewidth=2,
        label="front",
    )
    axes.plot(
        [p.cost(cost) for p in best], [value(p) for p in best], "o", markersize=5, color=ORANGE
    )
    marked = {p.mask: (name, p) for name, p in references.items()}
    ticket = next((p for p in everything if p.mask == chosen), None)
    if ticket is not None:
        name, ticket = marked.get(ticket.mask, ("", ticket))
        marked[ticket.mask] = (f"{name} = ticket" if name else "ticket", ticket)
    middle = (min(p.cost(cost) for p in everything) + end) / 2
    for mask, (name, p) in marked.items():
        look: dict[str, Any] = {"marker": "*", "markersize": 15, "color": VERMILION}
        if mask != chosen:
            look = {"marker": "s", "markersize": 8, "color": GREY}
        axes.plot(
            p.cost(cost), value(p), markeredgecolor="black", linestyle="none", zorder=3, **look
        )
        axes.annotate(
            name,
            (p.cost(cost), value(p)),
            xytext=(0, 10),
            textcoords="offset points",
            horizontalalignment="left" if p.cost(cost) < middle else "right",
            fontweight="bold",
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
        )
    axes.margins(y=0.14)  # room for a label above the best
    axes.set_xlabel(label)
    axes.set_ylabel(f"{quality.name} ({'%' if quality.unit == 'points' else quality.unit})")
    if not quality.higher_is_better:
        axes.invert_yaxis()  # up is better in both
    axes.legend(fontsize=8)


def _draw_finalists(axes: Axes, verdict: Verdict, blocks: Sequence[int]) -> None:
    """The finalists' gains over the ticket with two standard errors."""
    names: dict[str, str] = {}
    for name, one in verdict.masks.items():
        if name != "runner_up":
            names[one.mask] = f"{names[one.mask]} = {name}" if one.mask in names else name
    rows = verdict.finalists[:_MOST_FINALISTS]
    rows += tuple(f for f in verdict.finalists[_MOST_FINALISTS:] if f.mask in names)
    ends = [0, *accumulate(blocks)]
    labels = []
    for place, finalist in enumerate(rows):
        gain = finalist.over_ticket
        color = VERMILION if place == 0 else GREY if finalist.mask in names else BLUE
        error = CERTAIN * (gain.standard_error or 0.0)
        axes.errorbar(gain.value, place, xerr=error, fmt="o", color=color, markersize=5, capsize=3)
        stages = (finalist.mask[a:b] for a, b in pairwise(ends))
        labels.append(f"{names.get(finalist.mask, '')}  {' '.join(stages)}".strip())
    axes.axvline(0.0, color="black", linewidth=0.6)
    axes.set_yticks(range(len(rows)), labels, fontsize=7, family="monospace")
    axes.invert_yaxis()  # the best on top
    axes.set_xlabel(
        f"better than the ticket by ({verdict.quality}, {verdict.unit}; bars: "
        f"{CERTAIN:g} standard errors over {verdict.images} images)"
    )
