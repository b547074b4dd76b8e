"""docs/results.md, made from the JSON files in docs/results/.

python -m benchmarks.results_page

The page's words are in ``results.md.jinja`` beside this file, its figures come from the results.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.evidence import FOLDER, Comparison, studies, with_interval
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown
from ean_transfer.study.paired import CONFIDENCE

PAGE = FOLDER.with_suffix(".md")
PAIRS = (("full", "none"), ("ticket", "none"), ("ticket", "full"), ("ticket", "random"))
"""Arms that the page compares, the first over the second."""


class Described(NamedTuple):
    """What the page says of a study: its network, and the page of ``docs/`` that says more."""

    network: str
    page: str


STUDIES = {
    "toy_attention": Described("toy ResNet, from scratch", "results/first_studies.md"),
    "asr": Described("ResNet-20, 2 epochs", "folding.md"),
    "modules": Described("ResNet-20, 2 epochs", "attention.md"),
    "cifar10_camvid_cells": Described("ResNet-20, 4 epochs", "results/first_studies.md"),
    "camvid": Described("ResNet-20 from CIFAR-10", "segmentation.md"),
    "cells": Described("ResNet-20 from CIFAR-10", "counting.md"),
    "lite0_cells": Described("Lite0 from ImageNet", "results/lite0_cells.md"),
    "lite0_camvid": Described("Lite0 from ImageNet", "results/lite0_camvid.md"),
    "cifar10_from_scratch": Described("ResNet-20, 16 epochs", "results/cifar10_from_scratch.md"),
}
"""Studies in the page's order, by the name of their config and their JSON file."""


class Count(NamedTuple):
    """Comparisons of two arms whose interval is above or below 0, without the toy world's."""

    better: int
    worse: int
    total: int

    def __str__(self) -> str:
        undecided = self.total - self.better - self.worse
        comparisons = "1 comparison" if self.total == 1 else f"{self.total} comparisons"
        return (
            f"better in {self.better}, worse in {self.worse}, not decided in {undecided} of "
            f"{comparisons}"
        )


class Results:
    """The results in a folder, as the page's tables and figures.

    Args:
        folder: The folder of the JSON files.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        read = studies(folder)
        self.studies = {name: read[name] for name in STUDIES if name in read}
        self.not_run = [name for name in STUDIES if name not in read]

    @cached_property
    def comparisons(self) -> dict[tuple[str, str, str], list[Comparison | None]]:
        """(study, task, attention) -> one comparison per entry of :data:`PAIRS`."""
        return {
            (name, task, attention): [study.compare(task, *pair, attention) for pair in PAIRS]
            for name, study in self.studies.items()
            for task in study.tasks
            for attention in study.attentions(task)
        }

    def compared(self) -> str:
        """One row per task and attention that has two seeds or more."""
        rows = [["study", "network", "measured", "seeds", *(f"{a} over {b}" for a, b in PAIRS)]]
        for (name, task, attention), row in self.comparisons.items():
            seeds = max(one.seeds for one in row if one)
            if seeds > 1:
                network, page = STUDIES[name]
                what = f"{task}, {attention}" if attention else task
                cells = ["" if one is None else one.cell for one in row]
                rows.append([f"[{name}]({page})", network, what, str(seeds), *cells])
        return markdown(rows)

    def count(self, first: str, second: str) -> Count:
        """Count the comparisons of two arms of :data:`PAIRS` that decide."""
        place = PAIRS.index((first, second))
        intervals = [
            one.verdict.t
            for (name, *_), row in self.comparisons.items()
            if (one := row[place]) and one.verdict.t and not name.startswith("toy")
        ]
        better = sum(interval.low > 0 for interval in intervals)
        return Count(better, sum(interval.high < 0 for interval in intervals), len(intervals))

    def single_seeds(self, study: str, first: str, second: str) -> str:
        """``9 of 12``: how often an arm is above another in a study of one seed."""
        place = PAIRS.index((first, second))
        rows = [row[place] for (name, *_), row in self.comparisons.items() if name == study]
        means = [one.verdict.mean for one in rows if one]
        return f"{sum(mean > 0 for mean in means)} of {len(means)}"

    def verdicts(self) -> str:
        """One row per claim that a study stated before it ran; empty if there is none."""
        rows = [
            [
                name,
                verdict["claim"],
                f"**{verdict['answer']}**: {verdict['reason']}",
                with_interval(verdict["mean"], verdict["t"]),
            ]
            for name, study in self.studies.items()
            for verdict in study.data.get("verdicts", ())
        ]
        heads = ["study", "claim", "verdict", f"mean advantage ({CONFIDENCE:.0%} interval)"]
        return markdown([heads, *rows]) if rows else ""

    def proxies(self) -> str:
        """Kendall's tau of each proxy of the loss with fine-tuned masks, one column per folder."""
        taus: dict[str, list[str]] = {"proxy": []}
        for one in self._fine_tuned:
            taus["proxy"].append(_heading(one))
            for row in one["proxies"]:
                if row["truth"] == "loss" and not row["proxy"].endswith((" miou", " mae")):
                    tau = row["tau_one"] if row["proxy"].startswith("another seed") else row["tau"]
                    taus.setdefault(row["proxy"], []).append(f"{tau:.2f}")
        return markdown([[name, *cells] for name, cells in taus.items()])

    def spread(self) -> str:
        """How much fine-tuned masks differ in loss, and how much a seed moves one."""
        rows = [["data and attention", "masks", "seeds", "masks differ by", "a seed moves each by"]]
        for one in self._fine_tuned:
            spread = one["truth_spread"]["loss"]
            counts = [str(spread["masks"]), str(len(spread["seeds"]))]
            deviations = [f"{spread[name]:.4f}" for name in ("deviation", "seed_deviation")]
            rows.append([_heading(one), *counts, *deviations])
        return markdown(rows)

    @cached_property
    def _fine_tuned(self) -> list[dict[str, Any]]:
        """The pretrained networks whose masks were fine-tuned with two seeds or more."""
        return [one for one in self._json("own_network") if one["truth_spread"]["loss"]]

    def optimized(self, batch: int) -> str:
        """``0.97 (0.95 to 1.03)``: time of optimized full SE over the unoptimized plain network."""
        for row in self._json("optimized_resnet50")["results"]:
            if row["network"] == "full, optimized" and row["batch"] == batch:
                time = row["forward"]["time"]
                low, high = (1 + end for end in time["over_plain_interval"])
                return f"{1 + time['over_plain']:.2f} ({low:.2f} to {high:.2f})"
        raise LookupError(f"optimized_resnet50.json has no optimized full network of batch {batch}")

    def _json(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def commands(self) -> str:
        """One row per study: its command, its JSON, and the page that says more."""
        rows = [["study", "command", "more"]]
        for name, (_, page) in STUDIES.items():
            more = "not run yet"
            if name in self.studies:
                more = f"[page]({page}), [JSON](results/{name}.json)"
            elif (self.folder / name / "claims.json").exists():  # what is finished is kept there
                more = f"[begun]({page})"
            rows.append([name, f"`python tools/study.py configs/study/{name}.py`", more])
        return markdown(rows)

    def page(self) -> str:
        """The whole page in Markdown."""
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            undefined=StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,
        )
        return environment.get_template("results.md.jinja").render(results=self)


def _heading(one: dict[str, Any]) -> str:
    return f"{one['about']['task']}, {one['about']['attention']}"


if __name__ == "__main__":
    write_atomically(PAGE, Results().page())
    print(f"wrote {PAGE}")
