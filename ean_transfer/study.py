"""A study: arms x tasks x seeds, held equal in everything but the ticket, into one table."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.analysis.latency import time_increments
from ean_transfer.analysis.samples import draw_samples
from ean_transfer.errors import ConfigError
from ean_transfer.launch import last_checkpoint, load_config, set_ticket
from ean_transfer.search.run import run_search
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket, write_atomically
from ean_transfer.training import train

ARMS = ("none", "full", "ticket")


@dataclass(frozen=True)
class Task:
    """One task of a study.

    Attributes:
        config: Its config file.
        metric: Name of the test metric that goes into the table.
        label: The table's heading.
        starts_from: The task whose trained backbone it starts from; ``None`` for fresh weights.
        weights: Instead of ``starts_from``, a checkpoint from elsewhere; ``{arm}`` in its path
            stands for the arm.
        seed_keys: Keys of the config, with dots, that get the run's seed too, e.g. that of a random
            draw of the training images.
        higher_is_better: Of the metric.
    """

    config: str
    metric: str
    label: str
    starts_from: str | None = None
    weights: str | None = None
    seed_keys: tuple[str, ...] = ()
    higher_is_better: bool = True


@dataclass(frozen=True)
class StudyPlan:
    """What a study compares; the keys of a study config's ``study``.

    Attributes:
        tasks: Name -> task, in the order they are trained.
        search: A search config; its ticket is the arm ``ticket``.
        ticket: A ticket file or ``zoo:NAME`` instead of a search.
        arms: Which of none, full and ticket to compare.
        seeds: Each arm is trained once with each.
        image_size: Side of the square input, in pixels, for the time increment.
        batch_size: Images of that input.
    """

    tasks: Mapping[str, Task]
    search: str | None = None
    ticket: str | None = None
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0,)
    image_size: int = 32
    batch_size: int = 32

    def __post_init__(self) -> None:
        if (self.search is None) == (self.ticket is None):
            raise ConfigError("a study has either `search`, a search config, or `ticket`")
        if unknown := set(self.arms) - set(ARMS):
            raise ConfigError(f"a study's arms are {', '.join(ARMS)}; found {sorted(unknown)}")
        for name, task in self.tasks.items():
            if task.starts_from is not None and task.starts_from not in self.tasks:
                raise ConfigError(f"task {name} starts from {task.starts_from!r}, no such task")
            if task.starts_from is not None and task.weights is not None:
                raise ConfigError(f"task {name} has both `starts_from` and `weights`: give one")

    @classmethod
    def from_config(cls, cfg: Config) -> StudyPlan:
        """Read a config's ``study``.

        Raises:
            ConfigError: If it is missing, or has unknown keys.
        """
        if "study" not in cfg:
            raise ConfigError(f"{cfg.filename}: a study config has `study = dict(tasks=...)`")
        given = cfg.study.to_dict()
        try:
            tasks = {
                name: Task(**task | {"seed_keys": tuple(task.get("seed_keys", ()))})
                for name, task in given.pop("tasks").items()
            }
            for key in ("arms", "seeds"):
                if key in given:
                    given[key] = tuple(given[key])
            return cls(tasks=tasks, **given)
        except (TypeError, KeyError) as error:
            raise ConfigError(f"{cfg.filename}: {error}") from None


@dataclass(frozen=True)
class StudyResult:
    """What a study found.

    Attributes:
        plan: What was compared.
        ticket: The arm ``ticket``'s.
        metrics: task -> arm -> the metric for each seed, in the plan's order.
        attention_parameters: arm -> parameters in attention modules.
        increments: arm -> relative time increment over none: median and quartiles.
    """

    plan: StudyPlan
    ticket: Ticket
    metrics: Mapping[str, Mapping[str, list[float]]]
    attention_parameters: Mapping[str, int]
    increments: Mapping[str, dict[str, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        return {
            "ticket": str(self.ticket),
            "ticket_id": self.ticket.id,
            "seeds": list(self.plan.seeds),
            "metrics": {
                self.plan.tasks[task].label: dict(arms) for task, arms in self.metrics.items()
            },
            "attention_parameters": dict(self.attention_parameters),
            "time_increment_over_none": dict(self.increments),
        }

    def rows(self) -> list[list[str]]:
        """The table, headings first."""
        labels = [task.label for task in self.plan.tasks.values()]
        rows = [["arm", *labels, "attention parameters", "time over none"]]
        for arm in self.plan.arms:
            found = [_mean_and_spread(self.metrics[task][arm]) for task in self.plan.tasks]
            name = f"{arm} ({self.ticket})" if arm == "ticket" else arm
            increment = self.increments.get(arm)
            time = "-" if increment is None else f"{100 * increment['median']:+.1f} %"
            rows.append([name, *found, f"{self.attention_parameters[arm]:,}", time])
        return rows


def _mean_and_spread(values: list[float]) -> str:
    text = f"{fmean(values):.2f}"
    return text if len(values) == 1 else f"{text} ± {stdev(values):.2f}"


def run_study(
    plan: StudyPlan, work_dir: str | os.PathLike[str], *, search_seed: int | None = None
) -> StudyResult:
    """Search, train every arm on every task with every seed, test, and measure.

    What is already in the work dir is not done again, so a stopped study goes on where it was.
    Writes ``ticket.json`` and ``results.json``.

    Raises:
        ConfigError, DataError, TicketError: For bad input, before what depends on it is trained.
    """
    folder = Path(work_dir)
    print(f"searching: {plan.search}" if plan.search else f"ticket: {plan.ticket}", flush=True)
    ticket = _ticket(plan, folder, search_seed)
    print(f"ticket {ticket}: {ticket.connected} of {ticket.num_blocks} blocks", flush=True)
    ticket_file = ticket.save(folder / "ticket.json")
    specs = {"none": "none", "full": "full", "ticket": str(ticket_file)}
    backbones = {}
    for arm in plan.arms:
        cfg = load_config(next(iter(plan.tasks.values())).config)
        set_ticket(cfg, specs[arm])
        backbones[arm] = find_backbone(MODELS.build(cfg.model))

    metrics: dict[str, dict[str, list[float]]] = {
        task: {arm: [] for arm in plan.arms} for task in plan.tasks
    }
    for name, arm, seed in _runs(plan):
        task = plan.tasks[name]
        run = run_folder(folder, name, arm, seed)
        found = _finished(run, backbones[arm].ticket)
        if found is None:
            cfg = load_config(task.config, _seeds(task, seed))
            set_ticket(cfg, specs[arm])
            weights = None if task.weights is None else task.weights.replace("{arm}", arm)
            if task.starts_from is not None:
                weights = last_checkpoint(run_folder(folder, task.starts_from, arm, seed))
            found = _train_and_test(cfg, run, weights, seed)
        if task.metric not in found:
            raise ConfigError(f"{task.config}: no metric {task.metric!r}, found {sorted(found)}")
        metrics[name][arm].append(found[task.metric])
        print(f"{name}, {arm}, seed {seed}: {task.label} {found[task.metric]:.2f}", flush=True)

    increments = {}
    if "none" in plan.arms:
        x = torch.randn(plan.batch_size, 3, plan.image_size, plan.image_size)
        measured = time_increments(backbones, x, baseline="none")
        increments = {arm: vars(found) for arm, found in measured.items()}
    result = StudyResult(
        plan=plan,
        ticket=backbones["ticket"].ticket if "ticket" in backbones else ticket,
        metrics=metrics,
        attention_parameters={a: net.attention_parameters() for a, net in backbones.items()},
        increments=increments,
    )
    write_atomically(folder / "results.json", json.dumps(result.to_dict(), indent=2) + "\n")
    return result


def run_folder(folder: Path, task: str, arm: str, seed: int) -> Path:
    """Where one run of a study lies."""
    return folder / task / arm / f"seed{seed}"


def _runs(plan: StudyPlan) -> Iterator[tuple[str, str, int]]:
    """Seed by seed, so that a study stopped early has whole comparisons."""
    for seed in plan.seeds:
        for name in plan.tasks:
            for arm in plan.arms:
                yield name, arm, seed


def _seeds(task: Task, seed: int) -> dict[str, int]:
    """The config options that carry a run's seed.

    Raises:
        ConfigError: If the config has no such key.
    """
    cfg = load_config(task.config)
    for key in task.seed_keys:
        node: Any = cfg
        try:
            for name in key.split("."):
                node = node[name]
        except (KeyError, TypeError):
            raise ConfigError(
                f"{task.config}: no key {key!r}, one of the study's seed_keys"
            ) from None
    return dict.fromkeys(task.seed_keys, seed)


def _ticket(plan: StudyPlan, folder: Path, seed: int | None) -> Ticket:
    if plan.ticket is not None:
        return Ticket.load(plan.ticket)
    assert plan.search is not None
    searched = folder / "search" / "ticket.json"
    if searched.exists():
        return Ticket.load(searched)
    cfg = load_config(plan.search)
    return run_search(cfg, folder / "search", resume=True, seed=seed, quiet=True)


def _finished(folder: Path, ticket: Ticket) -> dict[str, float] | None:
    """The metrics of a run that is done, ``None`` if it is not."""
    file = folder / "metrics.json"
    if not file.exists():
        return None
    done = json.loads(file.read_text(encoding="utf-8"))
    if done["ticket_id"] != ticket.id:
        raise ConfigError(
            f"{file}: the run was done with ticket id {done['ticket_id']}, the study now has "
            f"{ticket.id}: choose another --work-dir"
        )
    return done["metrics"]


def _train_and_test(cfg: Config, folder: Path, weights: str | None, seed: int) -> dict[str, float]:
    """Train, test, draw; the metrics are kept in ``metrics.json``, with the ticket's id."""
    runner = train(cfg, folder, weights=weights, resume=True, seed=seed, quiet=True)
    metrics = {name: float(value) for name, value in runner.test().items()}
    draw_samples(runner, folder / "samples")
    done = {"ticket_id": find_backbone(runner.model).ticket.id, "seed": seed, "metrics": metrics}
    write_atomically(folder / "metrics.json", json.dumps(done, indent=2) + "\n")
    del runner
    gc.collect()  # data loaders and their images go with the runner
    return metrics
