"""How times grow: latency over connections, scoring over masks, density maps over points, workers.

::

    OMP_NUM_THREADS=1 python -m benchmarks.scaling --out docs/results/scaling

writes ``scaling.json`` and ``scaling.png``: medians over interleaved rounds, with a straight line
through each curve. ``--parts study`` alone times a toy study on one and on two workers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.speed import crowds
from ean_transfer.analysis.latency import forward_ms_in_turn, measure_latency
from ean_transfer.backbones import build_backbone
from ean_transfer.crowd_counting.density import density_map
from ean_transfer.engine.workers import open_workers
from ean_transfer.io.files import write_atomically
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.run import run_study
from ean_transfer.supernet.statistics import batch_statistics
from ean_transfer.supernet.tree import forward_masks
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import random_mask

Curves = dict[str, dict[float, float]]
"""Name of a curve -> x -> median y."""


def latency(rounds: int) -> Curves:
    """Per cent that 0, 4, ... 16 connections add to a forward pass of ResNet-50, one image."""
    curves: Curves = {}
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    order = np.random.default_rng(0).permutation(16)  # which blocks are connected first
    counts = (0, 4, 8, 12, 16)
    masks = [tuple(bool(place < count) for place in order) for count in counts]
    for attention in ("SE", "SGE"):
        network = build_backbone("resnet50", attention=attention, ticket="full")
        times = measure_latency(network, image, masks, rounds=3 * rounds)
        medians = [100 * one.over_plain for one in times]
        curves[f"ResNet-50, {attention}"] = dict(zip(map(float, counts), medians, strict=True))
    return curves


@torch.inference_mode()
def scoring(rounds: int) -> Curves:
    """Seconds to run 50 images of 32 x 32 under 1 to 64 random masks, which share what they can."""
    images = torch.randn(50, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    works: dict[tuple[str, int], Callable[[], Any]] = {}
    for depth in (20, 32, 56):
        network = build_backbone(
            f"resnet{depth}_cifar", attention=dict(type="SE", reduction=4), ticket="full"
        ).eval()
        blocks = network.ticket.num_blocks
        for number in (1, 16, 32, 48, 64):
            masks = sorted({random_mask(blocks, 0, index) for index in range(number)})

            def work(network: Any = network, masks: Any = masks) -> None:
                with batch_statistics(network):
                    for _ in forward_masks(network, images, masks):
                        pass

            works[f"ResNet-{depth}, {blocks} blocks", len(masks)] = work
    return _medians(works, rounds)


def density(rounds: int) -> Curves:
    """Seconds to draw the density map of 1,000 to 16,000 points in 3000 x 4000 pixels, stride 8."""
    size, works = (3000, 4000), {}
    for number in (1_000, 4_000, 8_000, 12_000, 16_000):
        points = crowds(size, number)["even"]
        for sigma in (4.0, 15.0):
            works[f"sigma {sigma:g}", number] = partial(density_map, points, size, 8, sigma)
    return _medians(works, 5 * rounds)  # of milliseconds each


def study(rounds: int) -> Curves:
    """Seconds of a toy study of four trainings on one worker and on two, with all cores each."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    task = Task(
        config="configs/classification/toy.py", metric="accuracy/top1", label="accuracy (%)"
    )
    for _ in range(rounds):
        tables = []
        for workers in seconds:
            with tempfile.TemporaryDirectory() as name:
                ticket = Ticket.from_bits("11 01 00", "resnet14_cifar")
                file = ticket.save(Path(name) / "given.json")
                plan = StudyPlan(
                    tasks={"toy": task},
                    ticket=str(file),
                    arms=("none", "full"),
                    seeds=(0, 1),
                    image_size=24,
                )
                start = time.perf_counter()
                with open_workers(workers) as opened:
                    result = run_study(plan, Path(name) / "s", workers=opened)
                seconds[workers].append(time.perf_counter() - start)
                tables.append(result.rows())
        print(f"study: {seconds}, tables: {tables}", flush=True)
    return {"four toy trainings": {float(n): median(values) for n, values in seconds.items()}}


def _medians(works: Mapping[tuple[str, int], Callable[[], Any]], rounds: int) -> Curves:
    """The median seconds of each piece of work, done in turn."""
    curves: Curves = {}
    for (name, x), ms in forward_ms_in_turn(works, (), rounds, warm_up=1).items():
        curves.setdefault(name, {})[x] = median(ms) / 1000
    return curves


PARTS: Mapping[str, tuple[Callable[[int], Curves], str, str]] = {
    "latency": (latency, "connections", "% over plain"),
    "scoring": (scoring, "masks", "s per pass over 50 images"),
    "density": (density, "points", "s per map"),
    "study": (study, "workers", "s"),
}
"""Part -> what measures it, and its axes."""


def line(curve: Mapping[float, float]) -> dict[str, float]:
    """The straight line through a curve, and the share of its variance that the line explains."""
    x, y = np.array([*curve]), np.array([*curve.values()])
    slope, intercept = np.polyfit(x, y, 1)
    rest = y - (slope * x + intercept)
    return {
        "slope": float(slope),
        "intercept": float(intercept),
        "explained": float(1.0 - rest.var() / y.var()),
    }


def draw(results: Mapping[str, Any], file: Path) -> None:
    """Draw each part's curves and lines into one picture."""
    figure = Figure(figsize=(9.0, 2.9 * ((len(results) + 1) // 2)), layout="constrained")
    for place, (part, curves) in enumerate(results.items(), start=1):
        axes = figure.add_subplot((len(results) + 1) // 2, 2, place)
        for name, one in curves.items():
            x = np.array([float(value) for value in one["medians"]])
            (points,) = axes.plot(x, [*one["medians"].values()], "o", label=name)
            fitted = one["line"]["intercept"] + one["line"]["slope"] * x
            axes.plot(x, fitted, color=points.get_color(), linewidth=1)
        axes.set(xlabel=PARTS[part][1], ylabel=PARTS[part][2])
        axes.set_ylim(bottom=0)
        axes.set_xticks(x)
        axes.legend(fontsize=8)
    figure.savefig(file, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=["latency", "scoring", "density"]
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, required=True, help="path of both files, no suffix")
    options = parser.parse_args(arguments)
    results = {}
    for part in options.parts:
        curves = PARTS[part][0](options.rounds)
        results[part] = {n: {"medians": one, "line": line(one)} for n, one in curves.items()}
        for name, one in results[part].items():
            print(f"{part}, {name}: {one}", flush=True)
    about = {"threads": torch.get_num_threads(), "rounds": options.rounds}
    text = json.dumps({"about": about, "parts": results}, indent=2) + "\n"
    write_atomically(options.out.with_suffix(".json"), text)
    draw(results, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
