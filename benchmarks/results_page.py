"""docs/results.md, made from the JSON files in docs/results/.

python -m benchmarks.results_page

The page's words are in ``results.md.jinja`` beside this file, its figures come from the results.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.evidence import FOLDER, Comparison, studies
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown

PAGE = FOLDER.with_suffix(".md")
PAIRS = (("full", "none"), ("ticket", "none"), ("ticket", "full"), ("ticket", "random"))
"""Arms that the page compares, the first over the second."""


class Described(NamedTuple):
    """What the page says of a study: where it comes from and where more is said of it."""

    network: str
    config: str
    page: str


STUDIES = {
    "toy_attention": Described("toy ResNet, from scratch", "toy_attention", "first_studies.md"),
    "asr": Described("ResNet-20, 2 epochs", "asr", "../folding.md"),
    "modules": Described("ResNet-20, 2 epochs", "modules", "../attention.md"),
    "cifar10_camvid_cells": Described(
        "ResNet-20, 4 epochs", "cifar10_camvid_cells", "first_studies.md"
    ),
    "camvid": Described("ResNet-20 from CIFAR-10", "camvid", "../segmentation.md"),
    "cells": Described("ResNet-20 from CIFAR-10", "cells", "../counting.md"),
    "lite0_cells": Described("Lite0 from ImageNet", "lite0_cells", "lite0_cells.md"),
    "lite0_camvid": Described("Lite0 from ImageNet", "lite0_camvid", "lite0_camvid.md"),
    "cifar10_from_scratch": Described(
        "ResNet-20, 16 epochs", "cifar10_from_scratch", "cifar10_from_scratch.md"
    ),
}
"""The studies of the page, in its order; those that have not been run are left out."""


def comparisons() -> dict[tuple[str, str, str], list[Comparison | None]]:
    """(study, task, attention) -> one comparison per entry of :data:`PAIRS`."""
    read = studies()
    return {
        (name, task, attention): [
            read[name].compare(task, *(_arm(attention, kind) for kind in pair)) for pair in PAIRS
        ]
        for name in STUDIES
        if name in read
        for task in read[name].tasks
        for attention in read[name].attentions(task)
    }


def _arm(attention: str, kind: str) -> str:
    return kind if kind == "none" else f"{attention} {kind}".lstrip()


def compared_rows() -> list[list[str]]:
    """One row per task and attention that has two seeds or more."""
    rows = [["study", "network", "measured", "seeds", *(f"{a} over {b}" for a, b in PAIRS)]]
    for (name, task, attention), row in comparisons().items():
        seeds = max(one.seeds for one in row if one)
        if seeds > 1:
            what = f"{task}, {attention}" if attention else task
            link = f"[{name}]({_link(STUDIES[name].page)})"
            cells = ["" if one is None else one.cell for one in row]
            rows.append([link, STUDIES[name].network, what, str(seeds), *cells])
    return rows


def _link(page: str) -> str:
    return page.removeprefix("../") if page.startswith("../") else f"results/{page}"


class Count(NamedTuple):
    """Comparisons of two arms whose interval is above or below 0, without the toy world's."""

    better: int
    worse: int
    total: int

    def __str__(self) -> str:
        return (
            f"better in {self.better}, worse in {self.worse}, not decided in "
            f"{self.total - self.better - self.worse} of {self.total} comparisons"
        )


def count(first: str, second: str) -> Count:
    """Count the comparisons of two arms of :data:`PAIRS` that decide."""
    place = PAIRS.index((first, second))
    intervals = [
        one.verdict.t
        for (name, *_), row in comparisons().items()
        if (one := row[place]) and one.verdict.t and not name.startswith("toy")
    ]
    better = sum(interval.low > 0 for interval in intervals)
    return Count(better, sum(interval.high < 0 for interval in intervals), len(intervals))


def single_seeds(study: str, first: str, second: str) -> str:
    """``9 of 12``: how often an arm is above another in a study of one seed."""
    place = PAIRS.index((first, second))
    rows = [row[place] for (name, *_), row in comparisons().items() if name == study]
    means = [one.verdict.mean for one in rows if one]
    return f"{sum(mean > 0 for mean in means)} of {len(means)}"


def verdict_rows() -> list[list[str]]:
    """One row per claim that a study stated before it ran."""
    rows = [["study", "claim", "verdict", "mean advantage (90 % interval)"]]
    read = studies()
    for name in (name for name in STUDIES if name in read):
        for verdict in read[name].data.get("verdicts", ()):
            interval = verdict["t"]
            bounds = f" ({interval[0]:+.2f} to {interval[1]:+.2f})" if interval else ""
            said = f"**{verdict['answer']}**: {verdict['reason']}"
            rows.append([name, verdict["claim"], said, f"{verdict['mean']:+.2f}{bounds}"])
    return rows


def not_run() -> list[str]:
    """Names of the planned studies that have no results."""
    return [name for name in STUDIES if name not in studies()]


def proxy_rows() -> list[list[str]]:
    """Kendall's tau of each proxy of the loss with fine-tuned masks, one column per folder."""
    folders = _fine_tuned()
    rows = [["proxy", *map(_heading, folders)]]
    taus: dict[str, list[str]] = {}
    for one in folders:
        for row in one["proxies"]:
            if row["truth"] == "loss" and not row["proxy"].endswith((" miou", " mae")):
                tau = row["tau_one"] if row["proxy"].startswith("another seed") else row["tau"]
                taus.setdefault(row["proxy"], []).append(f"{tau:.2f}")
    return [*rows, *([name, *cells] for name, cells in taus.items())]


def spread_rows() -> list[list[str]]:
    """How much fine-tuned masks differ in loss, and how much a seed moves one."""
    rows = [["data and attention", "masks", "seeds", "masks differ by", "a seed moves each by"]]
    for one in _fine_tuned():
        spread = one["truth_spread"]["loss"]
        counts = [str(spread["masks"]), str(len(spread["seeds"]))]
        rows.append(
            [_heading(one), *counts, *(f"{spread[k]:.4f}" for k in ("deviation", "seed_deviation"))]
        )
    return rows


def _fine_tuned() -> list[dict[str, Any]]:
    """The pretrained networks whose masks were fine-tuned with two seeds or more."""
    return [one for one in _json("own_network") if one["truth_spread"]["loss"]]


def _heading(one: dict[str, Any]) -> str:
    return f"{one['about']['task']}, {one['about']['attention']}"


def optimized(batch: int) -> str:
    """``0.97``: time of optimized full SE over the unoptimized plain network."""
    for row in _json("optimized_resnet50")["results"]:
        if row["network"] == "full, optimized" and row["batch"] == batch:
            return f"{1 + row['forward']['time']['over_plain']:.2f}"
    raise LookupError(f"optimized_resnet50.json has no optimized full network of batch {batch}")


def _json(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def study_rows() -> list[list[str]]:
    """One row per study: its command, its JSON, and the page that says more."""
    rows = [["study", "command", "more"]]
    for name, (_, config, page) in STUDIES.items():
        done = name in studies()
        more = f"[page]({_link(page)}), [JSON](results/{name}.json)" if done else "not run yet"
        rows.append([name, f"`python tools/study.py configs/study/{config}.py`", more])
    return rows


def page() -> str:
    """The whole page in Markdown."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    functions: Sequence[Any] = (count, single_seeds, not_run, optimized)
    tables = (compared_rows, verdict_rows, proxy_rows, spread_rows, study_rows)
    return environment.get_template("results.md.jinja").render(
        {one.__name__: one for one in functions}
        | {one.__name__: lambda one=one: markdown(one()) for one in tables}
        | {"has_verdicts": len(verdict_rows()) > 1}
    )


if __name__ == "__main__":
    write_atomically(PAGE, page())
    print(f"wrote {PAGE}")
