"""What ``tools/benchmark.py`` prints and writes; a function a command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ground_truth
from benchmarks.cost import cost_rows, costs, read_attention
from benchmarks.density import CROWD, IMAGE_SIZE, density_seconds
from benchmarks.folding import folding_increments
from benchmarks.proxy import proxies, split_half
from benchmarks.scoring import scoring_cases
from benchmarks.strategies import CONTESTANTS, contest, contest_rows, draw_contests
from benchmarks.tables import ScoreTable, make_table, shipped_tables
from ean_transfer.engine.config import load_config
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown, print_table
from ean_transfer.study.counting_figure import draw_counting, draw_sheet, read_runs
from ean_transfer.study.counting_pictures import worst_rows

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "-100 loss + 0.5 sparsity, batch statistics": (
        "batch",
        dict(quality="loss", cost="sparsity", weight=0.5),
    ),
    "accuracy + 2 sparsity, batch statistics": (
        "batch",
        dict(quality="accuracy", cost="sparsity", weight=2.0),
    ),
    "accuracy + 2 sparsity, running statistics": (
        "running",
        dict(quality="accuracy", cost="sparsity", weight=2.0),
    ),
}
"""What strategies are compared on: the default, the papers' reward, and the authors' code's."""


def search(
    *,
    tables: Sequence[str] | None,
    strategies: Sequence[str] | None,
    seeds: int,
    budget: int,
    json: str | None,
    figure: str | None,
) -> None:
    """Compare strategies on tables."""
    names = list(strategies or CONTESTANTS)
    if unknown := set(names) - set(CONTESTANTS):
        raise ConfigError(
            f"no strategy {', '.join(sorted(unknown))}: there are {', '.join(CONTESTANTS)}"
        )
    if seeds < 1 or budget < 64:
        raise ConfigError(f"expected seeds >= 1 and a budget >= 64, found {seeds} and {budget}")
    found = {Path(f).stem: Path(f) for f in tables} if tables else shipped_tables()
    loaded = {name: ScoreTable.load(file) for name, file in found.items()}
    contests = []
    for case, (bn, reward) in CASES.items():
        for table_name, table in loaded.items():
            if bn not in table.bn:
                continue
            label = f"{table_name}: {case}"
            here = [
                contest(name, table, bn, reward, table_name=label, seeds=seeds, budget=budget)
                for name in names
            ]
            print_table(contest_rows(here), title=label)
            contests += here
    if not contests:
        raise ConfigError(f"the tables have none of the statistics {', '.join(_needed())}")
    points = sorted({16, 32, 64, budget})
    if json:
        _write(
            json,
            {
                "seeds": seeds,
                "contests": [
                    {
                        "table": c.table,
                        "strategy": c.strategy,
                        "regret_quartiles": {str(n): c.quartiles(n) for n in points},
                        "regret_mean": {str(n): float(c.regret[:, n - 1].mean()) for n in points},
                        "test_accuracy_at_64": float(np.median(c.test_accuracy[:, 63])),
                        "seconds": round(c.seconds, 3),
                    }
                    for c in contests
                ],
            },
        )
    if figure:
        draw_contests(contests, figure)


def _needed() -> list[str]:
    return sorted({bn for bn, _ in CASES.values()})


def table(config: str, *, supernet: str, out: str, bn: Sequence[str], test_per_class: int) -> None:
    """Make a table of all masks."""
    make_table(load_config(config), supernet, out, bn=bn, test_per_class=test_per_class)


def truth(
    config: str, *, masks: int | None, seeds: Sequence[int], work_dir: str, out: str | None
) -> None:
    """Train masks from scratch."""
    cfg = load_config(config)
    chosen = ground_truth.masks_of(cfg, masks)
    found = ground_truth.train_from_scratch(cfg, chosen, seeds, work_dir)
    if out:
        found.save(out)


def proxy(
    config: str,
    *,
    truth: str,
    supernet: Sequence[Sequence[str]],
    fine_tune: int,
    json: str | None,
) -> None:
    """Judge supernets by a ground truth."""
    expected = ground_truth.GroundTruth.load(truth)
    ceiling = split_half(expected) if len(expected.seeds) > 1 else None
    kinds = {name: files for name, *files in supernet}
    if len(kinds) < len(supernet):
        raise ConfigError(
            f"--supernet: expected each name once, found {', '.join(name for name, *_ in supernet)}"
            "; give all checkpoints of a kind behind its name"
        )
    if empty := [name for name, files in kinds.items() if not files]:
        raise ConfigError(f"--supernet {empty[0]}: expected a name and at least one checkpoint")
    found = list(proxies(load_config(config), kinds, expected, fine_tune=fine_tune))
    rows = [["proxy", "tau", "tau, half the seeds", "accuracy of its best tenth"]]
    for one in found:
        rows.append([one.name, f"{one.tau:.3f}", f"{one.tau_half:.3f}", f"{one.top:.2f}"])
    reliability = "one seed, no split" if ceiling is None else f"split-half tau {ceiling:.3f}"
    print_table(rows, title=f"{len(expected.masks)} masks, seeds {expected.seeds}: {reliability}")
    if json:
        _write(
            json,
            {
                "truth": {**expected.network, "seeds": expected.seeds, "split_half_tau": ceiling},
                "mean_accuracy": float(expected.values().mean()),
                "proxies": [
                    {
                        "name": p.name,
                        "tau": round(p.tau, 4),
                        "tau_half": round(p.tau_half, 4),
                        "top": round(p.top, 3),
                    }
                    for p in found
                ],
            },
        )


def scoring() -> None:
    """Time masks scored together against one at a time."""
    for case in scoring_cases():
        print(
            f"{case.name:26} together {case.together:7.3f} s, alone {case.alone:7.3f} s: "
            f"{case.ratio:.2f} x as fast; the counts are {'equal' if case.equal else 'DIFFERENT'}",
            flush=True,
        )


def density() -> None:
    """Time the density maps of a crowd of UCF-QNRF's size."""
    print(f"{CROWD} points in {IMAGE_SIZE[1]} x {IMAGE_SIZE[0]} pixels")
    for case, seconds in density_seconds().items():
        print(f"{case:42} {seconds:.2f} s")


def cost(
    *, backbone: Sequence[str], attention: Sequence[str], image_size: int, out: str | None
) -> None:
    """Count parameters and MACs."""
    _require_at_least(1, image_size=image_size)
    specs = [read_attention(text) for text in attention]
    tables = [cost_rows(list(costs(name, specs, image_size))) for name in backbone]
    for rows in tables:
        print_table(rows, title=f"without head, one image of {image_size} x {image_size}")
    if out:
        write_atomically(Path(out), "\n".join(markdown(rows) for rows in tables))
        print(f"wrote {out}")


def folding(
    *,
    backbone: str,
    attention: str,
    image_size: int,
    batch_size: int,
    rounds: int,
    json: str | None,
) -> None:
    """Time the plain network, attention, re-parameterised attention, and that folded."""
    _require_at_least(1, image_size=image_size, batch_size=batch_size)
    _require_at_least(2, rounds=rounds)  # for quartiles
    found = folding_increments(backbone, read_attention(attention), image_size, batch_size, rounds)
    rows = [["network", "parameters", "time over plain", "quartiles"]]
    for name, one in found.items():
        time = one.time
        rows.append(
            [
                name,
                f"{one.parameters:,}",
                f"{1 + time.median:.3f}",
                f"{1 + time.lower:.3f} to {1 + time.upper:.3f}",
            ]
        )
    size = f"{batch_size} images of {image_size} x {image_size}"
    print_table(
        rows, title=f"{backbone}, {attention}, forward of {size}, {rounds} rounds interleaved"
    )
    if json:
        networks = {
            name: {"parameters": one.parameters, "time_increment": vars(one.time)}
            for name, one in found.items()
        }
        _write(json, {"backbone": backbone, "attention": attention, "networks": networks})


def _require_at_least(least: int, **options: int) -> None:
    for name, value in options.items():
        if value < least:
            raise ConfigError(f"expected --{name.replace('_', '-')} >= {least}, found {value}")


def _write(file: str, data: dict[str, Any]) -> None:
    write_atomically(Path(file), json.dumps(data, indent=1) + "\n")


def counting(
    config: str, *, study: str, task: str, out: str, worst: int, without_images: bool
) -> None:
    """Draw what a study's counting runs did."""
    _require_at_least(1, worst=worst)
    runs = read_runs(Path(study) / task)
    for run in (run for several in runs.values() for run in several if run.not_finite):
        print(
            f"{run.folder}: {run.not_finite} of {len(run.counts)} counts are not finite, left out "
            "of the ranking of the worst images"
        )
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = worst_rows(load_config(config), runs, worst, without_images=without_images)
    for drawn in (
        draw_counting(runs, folder / f"{task}.png"),
        draw_sheet(rows, folder / f"{task}_worst.png"),
    ):
        print(f"wrote {drawn}")
