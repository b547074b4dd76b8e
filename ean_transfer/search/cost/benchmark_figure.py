"""The figure of a benchmark: time against memory, in inference and in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ean_transfer.analysis.latency import Latency
from ean_transfer.search.cost.benchmark import PLAIN, Benchmark
from ean_transfer.visualization.palette import COLOURS, GREY

_Point = tuple[Latency, int]  # a time and a number of bytes


def draw_benchmark(measured: Sequence[Benchmark], path: Path) -> Path:
    """Draw each network's time and memory over the plain network's, a row of panels per batch.

    Left the forward pass and the most bytes that it holds, right forward and backward and the bytes
    saved for the backward pass. Bars are the 95 % intervals of the ratios. A network is left out of
    a panel for which it has no number.

    Args:
        measured: The results, those of the plain network among them for each batch size.
        path: Path of the PNG.

    Returns:
        The path.
    """
    batches = list(dict.fromkeys(one.batch for one in measured))
    figure = Figure(figsize=(11, 0.6 + 4.0 * len(batches)), layout="constrained")
    rows = figure.subplots(len(batches), 2, squeeze=False)
    for batch, (left, right) in zip(batches, rows, strict=True):
        of_batch = [one for one in measured if one.batch == batch]
        _draw(left, of_batch, _in_inference, f"inference, batch {batch}", "most memory held")
        _draw(right, of_batch, _in_training, f"training, batch {batch}", "saved for backward")
    figure.savefig(path, dpi=130)
    return path


def _in_inference(one: Benchmark) -> _Point | None:
    peak = one.forward.peak_bytes
    return None if peak is None else (one.forward.time, peak)


def _in_training(one: Benchmark) -> _Point | None:
    if one.training is None or one.saved_bytes is None:
        return None
    return one.training.time, one.saved_bytes


def _draw(
    axes: Axes,
    measured: Sequence[Benchmark],
    point: Callable[[Benchmark], _Point | None],
    title: str,
    memory: str,
) -> None:
    points = {one.network: at for one in measured if (at := point(one)) is not None}
    if not points:
        axes.set_axis_off()
        return
    _, plain_bytes = points[PLAIN]
    for index, (name, (time, number)) in enumerate(points.items()):
        x, (low, high) = 1.0 + time.over_plain, time.over_plain_interval
        axes.errorbar(
            x,
            number / plain_bytes,
            xerr=[[time.over_plain - low], [high - time.over_plain]],
            fmt="o",
            color=COLOURS[index % len(COLOURS)],
            label=name,
        )
    for line in (axes.axvline, axes.axhline):
        line(1.0, color=GREY, linewidth=0.8, zorder=0)
    axes.set(title=title, xlabel="time over none", ylabel=f"{memory}, over none")
    axes.legend(fontsize="small")
