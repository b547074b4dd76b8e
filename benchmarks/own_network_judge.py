"""What a folder of :mod:`benchmarks.own_network` shows: searches, proxies, baselines and times.

:mod:`benchmarks.own_network_results` is the command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ground_truth import GroundTruth, sampled_masks
from benchmarks.own_network import AT_A_TIME, SEARCHED, compared_masks
from benchmarks.own_network_tasks import TASKS, Task
from benchmarks.proxy import from_scored_masks, judged, kendall, split_half, without_a_network
from benchmarks.strategies import CONTESTANTS, best_so_far, evaluated
from ean_transfer.registry import STRATEGIES
from ean_transfer.supernet.scoring import LOSS, Metric
from ean_transfer.ticket.mask import bits_of, mask_of

AFTER = (SEARCHED // 4, SEARCHED // 2, SEARCHED)
"""Numbers of masks after which searches are judged."""


@dataclass(frozen=True)
class Folder:
    """A folder of the study, as it is read.

    Attributes:
        name: Its name.
        about: Task, attention, blocks per stage, factor of the attention's learning rate.
        masks: Scores of all masks on the supernet, by their bits.
        importance: Taylor importance of each connection, by the part of the images.
        times: Seconds of a search's parts and of a fine-tuning.
        truth: Metric and loss of fine-tuned masks, by their bits and the seed.
    """

    name: str
    about: Mapping[str, Any]
    masks: Mapping[str, Mapping[str, Any]]
    importance: Mapping[str, list[float]]
    times: Mapping[str, float]
    truth: Mapping[str, Mapping[int, Mapping[str, float]]]

    @classmethod
    def read(cls, folder: Path) -> Folder:
        """Read what the study wrote."""

        def read(name: str) -> dict[str, Any]:
            file = folder / name
            return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

        scored = json.loads((folder / "masks.json").read_text(encoding="utf-8"))
        truth: dict[str, dict[int, dict[str, float]]] = {}
        for file in sorted((folder / "truth").glob("seed*_*.json")):
            seed, bits = file.stem.removeprefix("seed").split("_")
            truth.setdefault(bits, {})[int(seed)] = read(f"truth/{file.name}")
        return cls(
            folder.name,
            **scored,
            importance=read("importance.json"),
            times=read("times.json"),
            truth=truth,
        )

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return sum(self.about["blocks"])

    @property
    def task(self) -> Task:
        """The task."""
        return next(new for new in TASKS.values() if new.__name__ == self.about["task"])()

    @property
    def qualities(self) -> dict[str, Metric]:
        """What masks are compared by: the loss, and the task's metric."""
        metric = self.task.metric
        return {"loss": LOSS, metric.name: metric}

    def rewards(self, quality: str) -> dict[str, float]:
        """The reward of each mask, by its bits: its score on the supernet, higher is better."""
        metric = self.qualities[quality]
        return {bits: metric.reward(scores[quality]) for bits, scores in self.masks.items()}

    def ground_truth(self, quality: str) -> GroundTruth | None:
        """Rewards of the fine-tuned masks that were sampled at random; ``None`` for fewer than 4.

        The compared masks are left out: a proxy chose one of them.
        """
        first = min((seed for seeds in self.truth.values() for seed in seeds), default=0)
        order = map(bits_of, sampled_masks(self.blocks, max(2, len(self.truth))))
        chosen = list(takewhile(lambda bits: first in self.truth.get(bits, {}), order))
        reward = self.qualities[quality].reward
        tuned = {
            bits: {seed: reward(result[quality]) for seed, result in self.truth[bits].items()}
            for bits in chosen
        }
        return GroundTruth(network={}, accuracy=tuned) if len(chosen) >= 4 else None


# -- searches -------------------------------------------------------------------------------------


def searches(
    folder: Folder, contestant: Mapping[str, Any], rewards: Mapping[str, float], seeds: int
) -> list[list[str]]:
    """The masks that a strategy evaluates, in order, one search per seed."""
    settings = {**contestant, "blocks": folder.about["blocks"]}
    return [
        evaluated(STRATEGIES.build({**settings, "seed": seed}), rewards, SEARCHED, AT_A_TIME)
        for seed in range(seeds)
    ]


def regrets(folder: Folder, seeds: int) -> list[dict[str, Any]]:
    """How far every strategy's best mask is from the best of all, after some of them."""
    contestants = dict(CONTESTANTS)
    for part, importance in folder.importance.items():
        prior = {"type": "SurrogateStrategy", "prior": importance}
        contestants[f"surrogate, Taylor prior ({part})"] = prior
    rows = []
    for quality in folder.qualities:
        rewards = folder.rewards(quality)
        ordered = np.sort([*rewards.values()])[::-1]
        for name, contestant in contestants.items():
            runs = searches(folder, contestant, rewards, seeds)
            values = np.array(
                [[rewards[bits] for bits in best_so_far(run, rewards, SEARCHED)] for run in runs]
            )
            row: dict[str, Any] = {"quality": quality, "strategy": name}
            for number in AFTER:
                reached = values[:, number - 1]
                row[f"regret at {number}"] = _quartiles(ordered[0] - reached)
                places = (ordered > reached[:, None]).sum(axis=1) + 1
                row[f"place at {number}"] = _quartiles(places)
            rows.append(row)
    return rows


def _quartiles(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in np.percentile(values, [25, 50, 75])]


# -- proxies --------------------------------------------------------------------------------------


def proxy_values(folder: Folder, masks: Sequence[str], seeds: int) -> dict[str, np.ndarray]:
    """What each proxy says of masks: (runs, masks), higher is better.

    There are as many runs as seeds where a search's draws have a part, else one.
    """
    bits = np.array([mask_of(mask) for mask in masks], dtype=float)
    values: dict[str, Any] = {
        f"supernet {quality}": [[folder.rewards(quality)[mask] for mask in masks]]
        for quality in folder.qualities
    }
    for part, importance in folder.importance.items():
        values[f"Taylor importance, summed ({part})"] = [bits @ np.array(importance)]
    rewards = folder.rewards("loss")
    chosen = [mask_of(mask) for mask in masks]
    for told in searches(folder, CONTESTANTS["surrogate"], rewards, seeds):
        scored = [mask_of(mask) for mask in told]
        known = from_scored_masks(chosen, scored, [rewards[mask] for mask in told])
        for name, run in known.items():
            values.setdefault(name, []).append(run)
    values |= {name: [run] for name, run in without_a_network(chosen).items()}
    return {name: np.array(runs) for name, runs in values.items()}


def proxies(folder: Folder, seeds: int) -> list[dict[str, Any]]:
    """Kendall's tau of each proxy with the fine-tuned masks, and the ceiling that noise sets.

    ``tau`` is that with the mean over the fine-tunings' seeds, ``tau_one`` the mean of those with
    one seed each, whose ceiling is the agreement of two seeds with each other.
    """
    rows = []
    for quality, metric in folder.qualities.items():
        truth = folder.ground_truth(quality)
        if truth is None:
            continue
        judged_by = {"truth": quality, "masks": len(truth.masks), "seeds": truth.seeds}
        ceiling = split_half(truth)
        rows.append({**judged_by, "proxy": "another seed of the fine-tuning", "tau_one": ceiling})
        for name, runs in proxy_values(folder, truth.masks, seeds).items():
            results = [judged(name, values, truth) for values in runs]
            means = np.mean([[one.tau, one.tau_half, one.top] for one in results], axis=0)
            tau, tau_one, top = map(float, means)
            best = top / metric.reward(1.0)
            row = {"proxy": name, "tau": tau, "tau_one": tau_one, "its_best": best}
            rows.append({**judged_by, **row})
    return rows


def agreement(folder: Folder) -> dict[str, dict[str, float]]:
    """Kendall's tau of the summed Taylor importance with the supernet's scores, over all masks."""
    bits = np.array([mask_of(mask) for mask in folder.masks], dtype=float)
    taus = {}
    for quality in folder.qualities:
        rewards = np.array([*folder.rewards(quality).values()])
        every = folder.importance.items()
        taus[quality] = {part: kendall(bits @ np.array(one), rewards) for part, one in every}
    return taus


# -- baselines, spread, times ---------------------------------------------------------------------


def compared(folder: Folder) -> list[dict[str, Any]]:
    """The best mask on the supernet, none, full and the baselines: places, and fine-tuned."""
    ordered = sorted(scores["loss"] for scores in folder.masks.values())

    def place(bits: str) -> int:
        return 1 + ordered.index(folder.masks[bits]["loss"])

    masks = compared_masks(folder.masks, folder.about["blocks"])
    rows: list[dict[str, Any]] = []
    for name, mask in masks.items():
        bits = bits_of(mask)
        tuned = folder.truth.get(bits, {})
        by_seed = {q: {s: one[q] for s, one in tuned.items()} for q in folder.qualities}
        over_full = folder.masks[bits]["loss_over_full"]
        row = {"name": name, "mask": bits, "connections": sum(mask), "place": place(bits)}
        rows.append({**row, "loss_over_full": over_full, "fine_tuned": by_seed})
    alike = [bits for bits in folder.masks if bits.count("1") == sum(masks["ticket"])]
    mean = float(np.mean([place(bits) for bits in alike]))
    rows.append(
        {
            "name": "mean of all masks of as many",
            "connections": sum(masks["ticket"]),
            "place": round(mean, 1),
        }
    )
    return rows


def spread(folder: Folder) -> dict[str, float]:
    """How much masks differ in loss on the supernet, and the paired error of such a difference."""
    losses = np.array([scores["loss"] for scores in folder.masks.values()])
    errors = [scores["loss_over_full"][1] for scores in folder.masks.values()]
    ends = {"none": folder.masks["0" * folder.blocks], "full": folder.masks["1" * folder.blocks]}
    return {
        **{name: one["loss"] for name, one in ends.items()},
        "best": float(losses.min()),
        "worst": float(losses.max()),
        "deviation": float(losses.std()),
        "paired_error": float(np.median(errors)),
    }


def truth_spread(folder: Folder, quality: str) -> dict[str, Any]:
    """How much the means of fine-tuned masks differ, and how much a seed moves each of them."""
    truth = folder.ground_truth(quality)
    if truth is None or len(truth.seeds) < 2:
        return {}
    values = np.array([[folder.truth[b][s][quality] for s in truth.seeds] for b in truth.masks])
    return {
        "masks": len(truth.masks),
        "seeds": truth.seeds,
        "deviation": float(values.mean(axis=1).std(ddof=1)),
        "seed_deviation": float(np.sqrt(values.var(axis=1, ddof=1).mean())),
    }


def results(folder: Folder, seeds: int) -> dict[str, Any]:
    """All that a folder shows, as plain data."""
    costs = dict(folder.times)
    if costs:
        costs["search"] = costs["supernet"] + costs["scoring"]
        costs["search_over_fine_tuning"] = costs["search"] / costs["fine_tuning"]
    return {
        "name": folder.name,
        "about": dict(folder.about),
        "spread": spread(folder),
        "truth_spread": {quality: truth_spread(folder, quality) for quality in folder.qualities},
        "searches": regrets(folder, seeds),
        "proxies": proxies(folder, seeds),
        "compared": compared(folder),
        "seconds": costs,
        "importance": dict(folder.importance),
        "importance_tau": agreement(folder),
    }
