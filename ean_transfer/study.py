"""A study: arms x tasks x seeds, held equal in everything but the ticket, into one table."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.analysis.latency import time_increments
from ean_transfer.analysis.samples import draw_samples
from ean_transfer.backbones.ticketed import TicketedResNet
from ean_transfer.errors import ConfigError
from ean_transfer.launch import last_checkpoint, load_config, set_ticket
from ean_transfer.resources import training_cost
from ean_transfer.search.run import run_search
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket, write_atomically
from ean_transfer.training import train

ARMS = ("none", "full", "ticket")
RANDOM = "random"  # an arm to ask for: for each seed another ticket of the same sparsity


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
        once: Train it with the first seed only, once for each ticket: a pretrained network that the
            runs of all seeds start from.
        higher_is_better: Of the metric.
    """

    config: str
    metric: str
    label: str
    starts_from: str | None = None
    weights: str | None = None
    seed_keys: tuple[str, ...] = ()
    once: bool = False
    higher_is_better: bool = True


@dataclass(frozen=True)
class StudyPlan:
    """What a study compares; the keys of a study config's ``study``.

    Attributes:
        tasks: Name -> task, in the order they are trained.
        search: A search config; its ticket is the arm ``ticket``.
        ticket: A ticket file or ``zoo:NAME`` instead of a search.
        arms: Which of none, full, ticket and random to compare; by default all but random, which is
            for each seed another ticket of the same sparsity (:meth:`Ticket.shuffled`).
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
        if unknown := set(self.arms) - {*ARMS, RANDOM}:
            known = ", ".join((*ARMS, RANDOM))
            raise ConfigError(f"a study's arms are {known}; found {sorted(unknown)}")
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
class Run:
    """One trained and tested network.

    Attributes:
        seed: It belongs to.
        ticket: Its mask.
        metrics: Every number of the test.
        train_seconds: As in :class:`~ean_transfer.resources.TrainingCost`; ``None`` if unknown.
        peak_memory: In bytes, likewise.
    """

    seed: int
    ticket: str
    metrics: Mapping[str, float]
    train_seconds: float | None = None
    peak_memory: int | None = None


@dataclass(frozen=True)
class StudyResult:
    """What a study found.

    Attributes:
        plan: What was compared.
        ticket: The arm ``ticket``'s.
        runs: task -> arm -> its runs, in the order of the plan's seeds.
        attention_parameters: arm -> parameters in attention modules; of random tickets the mean.
        increments: arm -> relative time increment over none: median and quartiles; of random
            tickets the first seed's.
    """

    plan: StudyPlan
    ticket: Ticket
    runs: Mapping[str, Mapping[str, list[Run]]]
    attention_parameters: Mapping[str, float]
    increments: Mapping[str, dict[str, float]] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, dict[str, list[float]]]:
        """task -> arm -> the task's metric, a value a run."""
        return {
            name: {
                arm: [run.metrics[self.plan.tasks[name].metric] for run in runs]
                for arm, runs in arms.items()
            }
            for name, arms in self.runs.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        labels = {name: task.label for name, task in self.plan.tasks.items()}
        return {
            "ticket": str(self.ticket),
            "ticket_id": self.ticket.id,
            "seeds": list(self.plan.seeds),
            "metrics": {labels[task]: dict(arms) for task, arms in self.metrics.items()},
            "attention_parameters": dict(self.attention_parameters),
            "time_increment_over_none": dict(self.increments),
            "runs": {
                labels[task]: {arm: [asdict(run) for run in runs] for arm, runs in arms.items()}
                for task, arms in self.runs.items()
            },
        }

    def rows(self) -> list[list[str]]:
        """The table of arms, headings first."""
        labels = [task.label for task in self.plan.tasks.values()]
        rows = [["arm", *labels, "attention parameters", "time over none"]]
        for arm in self.plan.arms:
            found = [mean_and_spread(self.metrics[task][arm]) for task in self.plan.tasks]
            increment = self.increments.get(arm)
            time = "-" if increment is None else f"{100 * increment['median']:+.1f} %"
            rows.append([self._title(arm), *found, f"{self.attention_parameters[arm]:,.0f}", time])
        return rows

    def task_rows(self, task: str) -> list[list[str]]:
        """Everything measured on one task, a row each, a column an arm, headings first."""
        arms = self.runs[task]
        every = [run for runs in arms.values() for run in runs]
        numbers = {
            name: {arm: [run.metrics.get(name) for run in runs] for arm, runs in arms.items()}
            for name in dict.fromkeys(name for run in every for name in run.metrics)
        }
        numbers["training (min)"] = {
            arm: [_scaled(run.train_seconds, 1 / 60) for run in runs] for arm, runs in arms.items()
        }
        numbers["peak memory (MB)"] = {
            arm: [_scaled(run.peak_memory, 1e-6) for run in runs] for arm, runs in arms.items()
        }
        rows = [["", *map(self._title, arms)]]
        for name, values in numbers.items():
            if any(value is not None for found in values.values() for value in found):
                rows.append([name, *(mean_and_spread(found) for found in values.values())])
        return rows

    def _title(self, arm: str) -> str:
        if arm == "ticket":
            return f"{arm} ({self.ticket})"
        if arm == RANDOM and self.runs:
            runs = next(iter(self.runs.values()))[arm]
            return f"{arm} ({', '.join(dict.fromkeys(run.ticket for run in runs))})"
        return arm


def mean_and_spread(values: Sequence[float | None]) -> str:
    """``mean ± standard deviation`` of what is known; a dash if nothing is."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    text = f"{fmean(known):.2f}"
    return text if len(known) == 1 else f"{text} ± {stdev(known):.2f}"


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def run_study(
    plan: StudyPlan, work_dir: str | os.PathLike[str], *, search_seed: int | None = None
) -> StudyResult:
    """Search, train every arm on every task with every seed, test, and measure.

    What is already in the work dir is not done again, so a stopped study goes on where it was.
    Writes ``ticket.json``, ``random<seed>.json`` for random tickets, and ``results.json``.

    Raises:
        ConfigError, DataError, TicketError: For bad input, before what depends on it is trained.
    """
    folder = Path(work_dir)
    print(f"searching: {plan.search}" if plan.search else f"ticket: {plan.ticket}", flush=True)
    ticket = _ticket(plan, folder, search_seed)
    print(f"ticket {ticket}: {ticket.connected} of {ticket.num_blocks} blocks", flush=True)
    specs = _specs(plan, ticket, folder)
    backbones = {key: _backbone(plan, spec) for key, spec in specs.items()}

    runs: dict[str, dict[str, list[Run]]] = {
        task: {arm: [] for arm in plan.arms} for task in plan.tasks
    }
    for name, arm, seed in _runs(plan):
        task, key = plan.tasks[name], _key(arm, seed)
        run = run_folder(folder, name, arm, seed)
        done = _finished(run, backbones[key].ticket)
        if done is None:
            train_seed = plan.seeds[0] if task.once else seed
            cfg = load_config(task.config, _seeds(task, train_seed))
            set_ticket(cfg, specs[key])
            weights = None if task.weights is None else task.weights.replace("{arm}", arm)
            if task.starts_from is not None:
                weights = last_checkpoint(_start(plan, folder, task.starts_from, arm, seed))
            done = _train_and_test(cfg, run, weights, train_seed)
        found = done["metrics"]
        if task.metric not in found:
            raise ConfigError(f"{task.config}: no metric {task.metric!r}, found {sorted(found)}")
        cost = (done.get("train_seconds"), done.get("peak_memory"))
        runs[name][arm].append(Run(seed, str(backbones[key].ticket), found, *cost))
        print(f"{name}, {arm}, seed {seed}: {task.label} {found[task.metric]:.2f}", flush=True)

    first = {arm: backbones[_key(arm, plan.seeds[0])] for arm in plan.arms}
    increments = {}
    if "none" in plan.arms:
        x = torch.randn(plan.batch_size, 3, plan.image_size, plan.image_size)
        measured = time_increments(first, x, baseline="none")
        increments = {arm: vars(found) for arm, found in measured.items()}
    result = StudyResult(
        plan=plan,
        ticket=first["ticket"].ticket if "ticket" in first else ticket,
        runs=runs,
        attention_parameters={
            arm: fmean(backbones[_key(arm, seed)].attention_parameters() for seed in plan.seeds)
            for arm in plan.arms
        },
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
        for name, task in plan.tasks.items():
            for arm in plan.arms:
                if not task.once or arm == RANDOM or seed == plan.seeds[0]:
                    yield name, arm, seed


def _start(plan: StudyPlan, folder: Path, task: str, arm: str, seed: int) -> Path:
    """The run whose backbone a run of that arm and seed starts from."""
    once = plan.tasks[task].once and arm != RANDOM
    return run_folder(folder, task, arm, plan.seeds[0] if once else seed)


def _key(arm: str, seed: int) -> str:
    """What has a ticket of its own: an arm, or one seed of the arm random."""
    return f"{arm}{seed}" if arm == RANDOM else arm


def _specs(plan: StudyPlan, ticket: Ticket, folder: Path) -> dict[str, str]:
    """What ``--ticket`` would be given, for all that have a ticket of their own."""
    specs = {"none": "none", "full": "full", "ticket": str(ticket.save(folder / "ticket.json"))}
    specs = {arm: specs[arm] for arm in plan.arms if arm != RANDOM}
    for key, seed in ((_key(RANDOM, seed), seed) for seed in plan.seeds if RANDOM in plan.arms):
        specs[key] = str(ticket.shuffled(seed).save(folder / f"{key}.json"))
    return specs


def _backbone(plan: StudyPlan, spec: str) -> TicketedResNet:
    cfg = load_config(next(iter(plan.tasks.values())).config)
    set_ticket(cfg, spec)
    return find_backbone(MODELS.build(cfg.model))


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


def _finished(folder: Path, ticket: Ticket) -> dict[str, Any] | None:
    """What a run that is done left in ``metrics.json``, ``None`` if it is not done."""
    file = folder / "metrics.json"
    if not file.exists():
        return None
    done = json.loads(file.read_text(encoding="utf-8"))
    if done["ticket_id"] != ticket.id:
        raise ConfigError(
            f"{file}: the run was done with ticket id {done['ticket_id']}, the study now has "
            f"{ticket.id}: choose another --work-dir"
        )
    return done


def _train_and_test(cfg: Config, folder: Path, weights: str | None, seed: int) -> dict[str, Any]:
    """Train, test, draw; what was measured is kept in ``metrics.json``, with the ticket's id."""
    runner = train(cfg, folder, weights=weights, resume=True, seed=seed, quiet=True)
    cost = training_cost(runner)
    done = {
        "ticket_id": find_backbone(runner.model).ticket.id,
        "seed": seed,
        "metrics": {name: float(value) for name, value in runner.test().items()},
        "train_seconds": cost.seconds,
        "peak_memory": cost.peak_memory,
    }
    draw_samples(runner, folder / "samples")
    write_atomically(folder / "metrics.json", json.dumps(done, indent=2) + "\n")
    del runner
    gc.collect()  # data loaders and their images go with the runner
    return done
