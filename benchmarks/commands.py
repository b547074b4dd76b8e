"""The functions behind ``tools/benchmark.py``, one per command: they measure, print and write.

Those with results for ``--json`` return them. A result ``failed`` is a line that says which check
failed; the command writes the results and ends with it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from benchmarks import ground_truth, speed
from benchmarks.cost import cost_rows, costs, read_attention
from benchmarks.faults import WRONG, try_faults
from benchmarks.proxy import proxies, split_half
from benchmarks.strategies import CASES, CONTESTANTS, contest, contest_rows, draw_contests
from benchmarks.tables import ScoreTable, make_table, shipped_tables
from ean_transfer.engine.config import load_config
from ean_transfer.errors import ConfigError, EANError
from ean_transfer.io.checked import Natural, Positive, checked_arguments
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown, print_table
from ean_transfer.study.counting_figure import draw_counting, read_runs, write_sheet
from ean_transfer.study.counting_pictures import worst_rows

PathOrText = str | os.PathLike[str]


@checked_arguments
def search(
    *,
    tables: Sequence[PathOrText] | None,
    strategies: Sequence[str] | None,
    seeds: Positive,
    budget: Annotated[int, Field(ge=64)],
    figure: PathOrText | None,
) -> dict[str, Any]:
    """Compare strategies on tables."""
    names = list(strategies or CONTESTANTS)
    files = {Path(file).stem: Path(file) for file in tables} if tables else shipped_tables()
    loaded = {name: ScoreTable.load(file) for name, file in files.items()}
    cases = [
        (table_name, table, case)
        for case, (bn, _) in CASES.items()
        for table_name, table in loaded.items()
        if bn in table.bn
    ]
    problem = ""
    if unknown := set(names) - set(CONTESTANTS):
        problem = f"no strategy {', '.join(sorted(unknown))}: there are {', '.join(CONTESTANTS)}"
    elif not cases:
        problem = f"expected tables with batch or running statistics, found none in {list(files)}"
    if problem:
        raise ConfigError(problem)
    contests = []
    for table_name, table, case in cases:
        bn, reward = CASES[case]
        label = f"{table_name}: {case}"
        of_case = [
            contest(name, table, bn, reward, table_name=label, seeds=seeds, budget=budget)
            for name in names
        ]
        print_table(contest_rows(of_case), title=label)
        contests += of_case
    if figure:
        draw_contests(contests, Path(figure))
    points = sorted({16, 32, 64, budget})
    return {
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
    }


def table(
    config: PathOrText,
    *,
    supernet: PathOrText,
    out: PathOrText,
    bn: Sequence[str],
    test_per_class: int,
) -> None:
    """Make a table of all masks."""
    make_table(load_config(config), supernet, out, bn=bn, test_per_class=test_per_class)


def truth(
    config: PathOrText,
    *,
    masks: int | None,
    seeds: Sequence[int],
    work_dir: PathOrText,
    out: PathOrText | None,
) -> None:
    """Train masks from scratch."""
    cfg = load_config(config)
    chosen = ground_truth.masks_of(cfg, masks)
    trained = ground_truth.train_from_scratch(cfg, chosen, seeds, work_dir)
    if out:
        trained.save(out)


def proxy(
    config: PathOrText, *, truth: PathOrText, supernet: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Judge supernets by a ground truth."""
    names = [name for name, *_ in supernet]
    if len(set(names)) < len(names) or not all(checkpoints for _, *checkpoints in supernet):
        raise ConfigError(
            "--supernet: expected each name once, with all checkpoints of its kind behind it, "
            f"found {', '.join(' '.join(parts) for parts in supernet)}"
        )
    expected = ground_truth.GroundTruth.load(truth)
    ceiling = split_half(expected)
    kinds = {name: checkpoints for name, *checkpoints in supernet}
    judged = list(proxies(load_config(config), kinds, expected))
    rows = [["proxy", "tau", "tau, half the seeds", "accuracy of its best tenth"]]
    for one in judged:
        rows.append([one.name, f"{one.tau:.3f}", f"{one.tau_half:.3f}", f"{one.top:.2f}"])
    reliability = "one seed, no split" if ceiling is None else f"split-half tau {ceiling:.3f}"
    print_table(rows, title=f"{len(expected.masks)} masks, seeds {expected.seeds}: {reliability}")
    return {
        "truth": {**expected.network, "seeds": expected.seeds, "split_half_tau": ceiling},
        "mean_accuracy": float(expected.values().mean()),
        "proxies": [
            {
                "name": one.name,
                "tau": round(one.tau, 4),
                "tau_half": round(one.tau_half, 4),
                "top": round(one.top, 3),
            }
            for one in judged
        ],
    }


def scoring() -> None:
    """Time masks scored together against one at a time.

    Raises:
        EANError: The two ways count differently.
    """
    cases = speed.scoring_times()
    for case in cases:
        print(
            f"{case.name:26} together {case.together:7.3f} s, alone {case.alone:7.3f} s: "
            f"{case.ratio:.2f} x as fast; the counts are {'equal' if case.equal else 'DIFFERENT'}",
            flush=True,
        )
    if not all(case.equal for case in cases):
        raise EANError("masks scored together and alone have different counts: see above")


def density() -> None:
    """Time the density maps of a crowd of UCF-QNRF's size."""
    print(f"{speed.CROWD} points in {speed.IMAGE_SIZE[1]} x {speed.IMAGE_SIZE[0]} pixels")
    for case, seconds in speed.density_seconds().items():
        print(f"{case:42} {seconds:.2f} s")


@checked_arguments
def faults(
    *, runs: Sequence[str], kills: Natural, tears: Natural, flips: Natural, seed: Natural
) -> dict[str, Any]:
    """Kill runs, tear their files and flip bits; ``failed`` of the result says what went wrong."""
    results = try_faults(
        runs=runs, number_of_kills=kills, tears_per_kind=tears, number_of_flips=flips, seed=seed
    )
    wrong = 0
    for what in ("kills", "torn", "flipped"):
        for kind, counts in results[what].items():
            outcomes = ", ".join(f"{number} {name}" for name, number in counts.items())
            print(f"{what:8} {kind:36} {outcomes}")
            wrong += sum(number for name, number in counts.items() if name.startswith(WRONG))
    return results | ({"failed": f"outcomes that are wrong: {wrong}, see above"} if wrong else {})


@checked_arguments
def cost(
    *,
    backbone: Sequence[str],
    attention: Sequence[str],
    image_size: Positive,
    out: PathOrText | None,
) -> None:
    """Count parameters and MACs."""
    specs = [read_attention(text) for text in attention]
    tables = [cost_rows(list(costs(name, specs, image_size))) for name in backbone]
    for rows in tables:
        print_table(rows, title=f"without head, one image of {image_size} x {image_size}")
    if out:
        write_atomically(Path(out), "\n".join(markdown(rows) for rows in tables))
        print(f"wrote {out}")


@checked_arguments
def folding(
    *,
    backbone: str,
    attention: str,
    image_size: Positive,
    batch_size: Positive,
    rounds: Annotated[int, Field(ge=2)],  # for quartiles
) -> dict[str, Any]:
    """Time the plain network, attention, re-parameterised attention, and that folded."""
    networks = speed.folding_times(
        backbone, read_attention(attention), image_size, batch_size, rounds
    )
    rows = [["network", "parameters", "time over plain", "quartiles"]]
    for name, one in networks.items():
        middle, lower, upper = (
            1 + t for t in (one.time.over_plain, *one.time.over_plain_quartiles)
        )
        rows.append([name, f"{one.parameters:,}", f"{middle:.3f}", f"{lower:.3f} to {upper:.3f}"])
    size = f"{batch_size} images of {image_size} x {image_size}"
    print_table(
        rows, title=f"{backbone}, {attention}, forward of {size}, {rounds} rounds interleaved"
    )
    return {
        "backbone": backbone,
        "attention": attention,
        "networks": {
            name: {"parameters": one.parameters, "time_increment": asdict(one.time)}
            for name, one in networks.items()
        },
    }


@checked_arguments
def counting(
    config: PathOrText,
    *,
    study: PathOrText,
    task: str,
    out: PathOrText,
    worst: Positive,
    without_images: bool,
) -> None:
    """Draw the results of a study's counting runs."""
    runs = read_runs(Path(study), task)
    for run in (run for of_arm in runs.values() for run in of_arm if run.not_finite):
        print(
            f"{run.folder}: {run.not_finite} of {len(run.counts)} counts are not finite, left out "
            "of the ranking of the worst images"
        )
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = worst_rows(load_config(config), runs, worst, without_images=without_images)
    for drawn in (
        draw_counting(runs, folder / f"{task}.png"),
        write_sheet(rows, folder / f"{task}_worst.png"),
    ):
        print(f"wrote {drawn}")
