"""The results of :mod:`benchmarks.own_network` as JSON, tables and figures.

::

    python -m benchmarks.own_network_results FOLDER ... [--out docs/results/own_network]

prints tables in Markdown. With ``--out`` it writes them below the text of ``own_network.md``, and
``own_network.json`` and one figure per folder beside it. What a folder lacks is left out, so that
it can be used while the study runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.own_network import SEARCHED
from benchmarks.own_network_judge import AFTER, Folder, results
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown, mean_and_spread

MARK = "<!-- below this line: written by python -m benchmarks.own_network_results -->\n"
Rows = list[list[str]]


def spread_rows(every: Sequence[Mapping[str, Any]]) -> Rows:
    """One row per folder: how much masks differ on the supernet."""
    names = ("none", "full", "best", "worst", "deviation", "paired_error")
    heads = ("none", "full", "best", "worst", "deviation over masks", "error of a difference")
    rows = [["folder", "factor of the attention's learning rate", *heads]]
    for one in every:
        values = [f"{one['spread'][name]:.4f}" for name in names]
        rows.append([one["name"], str(one["about"].get("attention_lr_factor", 10.0)), *values])
    return rows


def search_rows(one: Mapping[str, Any], quality: str) -> Rows:
    """One row per strategy: medians and quartiles over seeds."""
    heads = [f"{what} at {number}" for number in AFTER for what in ("regret", "place")]
    rows = [["strategy", *heads]]
    for row in one["searches"]:
        if row["quality"] == quality:
            cells = [_with_quartiles(row[head], 0 if "place" in head else 3) for head in heads]
            rows.append([row["strategy"], *cells])
    return rows


def _with_quartiles(values: Sequence[float], digits: int) -> str:
    lower, median, upper = (f"{value:.{digits}f}" for value in values)
    return f"{median} ({lower} to {upper})"


def proxy_rows(one: Mapping[str, Any], qualities: Sequence[str]) -> Rows:
    """One row per proxy: tau with the mean over seeds, with one seed, and its best mask."""
    by_name: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in one["proxies"]:
        by_name.setdefault(row["proxy"], {})[row["truth"]] = row
    columns = (("tau", 2), ("tau_one", 2), ("its_best", 4))
    heads = ("tau", "tau, one seed", "of its best mask")
    rows = [["proxy", *(f"{quality}: {head}" for quality in qualities for head in heads)]]
    for name, by_quality in by_name.items():
        cells = []
        for quality in qualities:
            for column, digits in columns:
                value = by_quality[quality].get(column)
                cells.append("" if value is None else f"{value:.{digits}f}")
        rows.append([name, *cells])
    return rows


def compared_rows(one: Mapping[str, Any], qualities: Sequence[str]) -> Rows:
    """One row per mask that is named: its place on the supernet, and what fine-tuning gave."""
    tuned = [f"fine-tuned {quality}" for quality in qualities]
    rows = [["mask", "bits", "connections", "place", "loss over full", *tuned]]
    for row in one["compared"]:
        cells = [row["name"], row.get("mask", ""), str(row["connections"]), str(row["place"])]
        difference = row.get("loss_over_full")
        cells.append("" if difference is None else "{:+.4f} ± {:.4f}".format(*difference))
        for quality in qualities:
            values = [*row.get("fine_tuned", {}).get(quality, {}).values()]
            cells.append(_mean(values) if values else "")
        rows.append(cells)
    return rows


def _mean(values: Sequence[float]) -> str:
    if np.mean(np.abs(values)) >= 1.0:
        return mean_and_spread(values)
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"


def time_rows(one: Mapping[str, Any]) -> Rows:
    """What a search costs, in seconds and as a share of one fine-tuning."""
    seconds = one["seconds"]
    parts = {
        "supernet": "training the supernet",
        "scoring": f"scoring {SEARCHED} masks",
        "search": "the whole search",
        "importance": "Taylor importance",
        "fine_tuning": "one fine-tuning",
    }
    rows = [["part", "seconds", "of one fine-tuning"]]
    for name, text in parts.items():
        share = seconds[name] / seconds["fine_tuning"]
        rows.append([text, f"{seconds[name]:.0f}", f"{share:.0%}"])
    return rows


def section(one: Mapping[str, Any], qualities: Sequence[str]) -> str:
    """A folder's tables in Markdown."""
    about = one["about"]
    text = [f"\n## {one['name']}: {about['attention']} on {about['task']}\n"]
    for quality in qualities:
        text += [
            f"**Searches by {quality}**, median and quartiles over seeds; the regret in units of "
            "reward (the loss in hundredths), the place among all masks:\n",
            markdown(search_rows(one, quality)),
        ]
    if one["importance"]:
        taus = [
            f"{tau:.2f} by {quality} ({part})"
            for quality, by_part in one["importance_tau"].items()
            for part, tau in by_part.items()
        ]
        text.append(
            "**Taylor importance**, summed over connections, ranks all masks as the supernet does "
            f"with tau {', '.join(taus)}.\n"
        )
    if one["proxies"]:
        masks, seeds = one["proxies"][0]["masks"], one["proxies"][0]["seeds"]
        # Standard deviation of tau between independent rankings (Kendall 1938).
        chance = np.sqrt(2 * (2 * masks + 5) / (9 * masks * (masks - 1)))
        text += [
            f"**Proxies**: Kendall's tau with {masks} fine-tuned masks, seeds {seeds}; by chance "
            f"0 ± {chance:.2f}:\n",
            markdown(proxy_rows(one, qualities)),
        ]
    text += [
        "**Masks compared**; the place is by the loss on the supernet, 1 the best:\n",
        markdown(compared_rows(one, qualities)),
    ]
    if one["seconds"]:
        text += ["**Time**, from a few iterations and masks of each:\n", markdown(time_rows(one))]
    return "\n".join(text)


def draw(folder: Folder, one: Mapping[str, Any], file: Path) -> None:
    """Draw the loss of every mask on the supernet, and of those that were fine-tuned."""
    panels = 2 if folder.truth else 1
    figure = Figure(figsize=(5 * panels, 4.2), layout="constrained")
    left, *rest = figure.subplots(1, panels, squeeze=False)[0]
    losses = {bits: scores["loss"] for bits, scores in folder.masks.items()}
    numbers = np.array([bits.count("1") for bits in losses])
    jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(numbers))
    left.plot(numbers + jitter, [*losses.values()], ".", color="#999999", markersize=3)
    named = [row for row in one["compared"] if "mask" in row]
    for row, colour in zip(named, COLOURS * 2, strict=False):
        bits, name = row["mask"], row["name"]
        marker = "^" if name.startswith("random") else "os"[name not in ("ticket", "none", "full")]
        left.plot(bits.count("1"), losses[bits], marker, color=colour, label=name)
        for right in rest:
            for result in folder.truth.get(bits, {}).values():
                right.plot(losses[bits], result["loss"], marker, color=colour)
    truth = folder.ground_truth("loss")
    left.set_xlabel("connections")
    left.set_ylabel("loss on the supernet")
    for right in rest:
        for bits in truth.masks if truth else ():
            tuned = [result["loss"] for result in folder.truth[bits].values()]
            right.plot([losses[bits]] * len(tuned), tuned, ".-", color="#999999", linewidth=0.8)
        right.set_xlabel("loss on the supernet")
        right.set_ylabel("loss after fine-tuning, one point per seed")
    for axis in (left, *rest):
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5 if rest else 3, fontsize=8)
    figure.savefig(file, dpi=110)


COLOURS = ["#D55E00", "#000000", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=20, help="searches of each strategy")
    parser.add_argument("--out", type=Path, help="path of the results without its suffix")
    write(**vars(parser.parse_args()))


def write(folders: Sequence[Path], seeds: int, out: Path | None) -> None:
    """Judge folders; print the tables, and write them if there is an ``out``."""
    read = [Folder.read(folder) for folder in folders]
    every = [results(folder, seeds) for folder in read]
    text = "**Loss of all masks on the supernet:**\n\n" + markdown(spread_rows(every))
    for folder, one in zip(read, every, strict=True):
        text += section(one, [*folder.qualities])
        if out:
            figure = out.with_name(f"{out.name}_{folder.name}.png")
            figure.parent.mkdir(parents=True, exist_ok=True)
            draw(folder, one, figure)
            text += f"\n![every mask's loss, and fine-tuned ones]({figure.name})\n"
    print(text)
    if out:
        page = out.with_suffix(".md")
        above = page.read_text(encoding="utf-8").split(MARK)[0] if page.exists() else ""
        write_atomically(page, f"{above}{MARK}\n{text}")
        write_atomically(out.with_suffix(".json"), json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
