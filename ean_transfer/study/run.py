"""A study: arms x tasks x seeds, held equal in everything but the ticket, into one table."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.analysis.latency import time_increments
from ean_transfer.asr import fold
from ean_transfer.attention import attention_options
from ean_transfer.backbones import TicketBackbone
from ean_transfer.engine.config import backbone_configs, load_config, set_ticket
from ean_transfer.engine.hooks.resources import training_cost
from ean_transfer.engine.runner import last_checkpoint
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import write_atomically
from ean_transfer.search.run import run_search
from ean_transfer.study.identity import config_digest, require_identity, write_identity
from ean_transfer.study.plan import RANDOM, StudyPlan, Task, arm_of, split_asr
from ean_transfer.study.result import Run, StudyResult, json_text
from ean_transfer.study.samples import draw_samples
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.transfer import carry


def run_study(
    plan: StudyPlan, work_dir: str | os.PathLike[str], *, search_seed: int | None = None
) -> StudyResult:
    """Search, train every arm on every task with every seed, test, and measure.

    What is already in the work dir is not done again, so a stopped study goes on where it was; of
    another ticket, config or start it is refused, by the ``run.json`` beside each run and search.
    Writes the tickets, ``ticket.json`` and ``random<seed>.json``, and ``results.json``.

    Raises:
        ConfigError, DataError, TicketError: For bad input, before what depends on it is trained.
    """
    folder = Path(work_dir)
    for task in plan.tasks.values():
        _seeds(task, plan.seeds[0])  # its errors come before the search
    print(f"searching: {plan.search}" if plan.search else f"ticket: {plan.ticket}", flush=True)
    ticket = _ticket(plan, folder, search_seed)
    print(f"ticket {ticket}: {ticket.connected} of {ticket.num_blocks} blocks", flush=True)
    networks = _networks(plan, ticket, folder)
    backbones = {network: _backbone(plan, network) for network in dict.fromkeys(networks.values())}

    jobs = _jobs(plan, folder, networks, backbones)
    for job in jobs.values():  # all of them before hours of training
        require_identity(job.folder, job.identity)

    runs: dict[str, dict[str, list[Run]]] = {
        task: {name: [] for name in plan.networks} for task in plan.tasks
    }
    for (task_name, name, seed), job in jobs.items():
        task, done = plan.tasks[task_name], _done(job)
        found = {metric: float(value) for metric, value in done["metrics"].items()}
        if task.metric not in found:
            raise ConfigError(
                f"{task.config}: the test has no number {task.metric!r}, found {sorted(found)}"
            )
        cost = (done.get("train_seconds"), done.get("peak_memory"))
        own = backbones[networks[name, seed]].ticket
        runs[task_name][name].append(Run(seed, str(own), found, *cost))
        label = f"{task_name}, {name}, seed {seed}: {task.label}"
        print(f"{label} {found[task.metric]:.2f}", flush=True)

    result = _result(plan, ticket, networks, backbones, runs)
    write_atomically(folder / "results.json", json_text(result.to_dict()))
    return result


def _result(
    plan: StudyPlan,
    ticket: Ticket,
    networks: Mapping[tuple[str, int], _Network],
    backbones: Mapping[_Network, TicketBackbone],
    runs: dict[str, dict[str, list[Run]]],
) -> StudyResult:
    """What was found, and what each network costs at inference."""
    # Attention that is to be folded is gone by then.
    deployed = {
        network: fold(backbone) if backbone.ticket.to_fold else backbone
        for network, backbone in backbones.items()
    }
    first = {name: networks[name, plan.seeds[0]] for name in plan.networks}
    increments = {}
    if "none" in plan.arms:
        x = torch.randn(plan.batch_size, 3, plan.image_size, plan.image_size)
        models = {name: deployed[network] for name, network in first.items()}
        measured = time_increments(models, x, baseline="none")
        increments = {name: vars(found) for name, found in measured.items()}
    return StudyResult(
        plan=plan,
        ticket=backbones[first["ticket"]].ticket if "ticket" in first else ticket,
        runs=runs,
        attention_parameters={
            name: fmean(
                deployed[networks[name, seed]].attention_parameters() for seed in plan.seeds
            )
            for name in plan.networks
        },
        increments=increments,
    )


def run_folder(folder: Path, task: str, network: str, seed: int) -> Path:
    """Where one run of a study lies."""
    return folder / task / network.replace(" ", "_") / f"seed{seed}"


def _runs(plan: StudyPlan) -> Iterator[tuple[str, str, int]]:
    """Seed by seed, so that a study stopped early has whole comparisons."""
    for seed in plan.seeds:
        for task in plan.tasks:
            for network in plan.networks:
                if seed == _seed_of(plan, task, network, seed):
                    yield task, network, seed


def _seed_of(plan: StudyPlan, task: str, network: str, seed: int) -> int:
    """The seed of the run that stands for this one: a task done once is done for each ticket."""
    once = plan.tasks[task].once and arm_of(network) != RANDOM
    return plan.seeds[0] if once else seed


@dataclass(frozen=True)
class _Network:
    """What an arm is built with: a ticket as ``--ticket`` takes it, and an attention as JSON."""

    ticket: str
    attention: str | None

    def put_into(self, cfg: Config) -> None:
        if self.attention is not None:
            attention, asr = split_asr(json.loads(self.attention))
            for backbone in backbone_configs(cfg.model):
                backbone["attention"] = attention
                backbone["asr"] = asr
        set_ticket(cfg, self.ticket)


def _networks(plan: StudyPlan, ticket: Ticket, folder: Path) -> dict[tuple[str, int], _Network]:
    """(network, seed) -> what it is built with; writes the ticket files."""
    ticket.save(folder / "ticket.json")
    networks = {}
    for name, seed in ((name, seed) for name in plan.networks for seed in plan.seeds):
        attention = plan.attentions.get(name.rpartition(" ")[0])
        spec = arm = arm_of(name)
        if arm in ("ticket", RANDOM):
            drawn, file = ticket, name.replace(" ", "_")
            if arm == RANDOM:
                drawn, file = ticket.shuffled(seed), f"{file}{seed}"
            if attention is not None:
                kind, options = attention_options(split_asr(attention)[0])
                drawn = carry(drawn, attention=kind, options=options)
            spec = str(drawn.save(folder / f"{file}.json"))
        networks[name, seed] = _Network(spec, None if attention is None else json.dumps(attention))
    return networks


def _backbone(plan: StudyPlan, network: _Network) -> TicketBackbone:
    """A network's backbone, which all tasks have in common.

    Raises:
        ConfigError: If they do not.
    """
    found: dict[str, TicketBackbone] = {}
    for name, task in plan.tasks.items():
        cfg = load_config(task.config)
        network.put_into(cfg)
        found[name] = find_backbone(MODELS.build(cfg.model))
    first, *others = found
    for other in others:
        if found[first].ticket.id != found[other].ticket.id:
            raise ConfigError(
                f"tasks {first} and {other} have different networks (backbone, attention, options "
                "or sharing), and a study compares tickets on one: set their backbones alike"
            )
    return found[first]


@dataclass(frozen=True)
class _Job:
    """One run: a config with its network and seed put in, where it is done and starts from."""

    cfg: Config
    folder: Path
    seed: int  # that it is trained with
    identity: dict[str, Any]
    weights: str | None
    start: Path | None  # the run whose last checkpoint are the weights


def _jobs(
    plan: StudyPlan,
    folder: Path,
    networks: Mapping[tuple[str, int], _Network],
    backbones: Mapping[_Network, TicketBackbone],
) -> dict[tuple[str, str, int], _Job]:
    """(task, network, seed) -> its run, in the order they are done."""
    jobs: dict[tuple[str, str, int], _Job] = {}
    for task_name, name, seed in _runs(plan):
        task, network = plan.tasks[task_name], networks[name, seed]
        train_seed = plan.seeds[0] if task.once else seed
        start = None
        if task.starts_from is not None:
            start = jobs[task.starts_from, name, _seed_of(plan, task.starts_from, name, seed)]
        cfg = load_config(task.config, _seeds(task, train_seed))
        digest = config_digest(
            cfg,
            seed=train_seed,
            attention=network.attention,
            weights=task.weights,
            start=None if start is None else start.identity["config_digest"],
        )
        network.put_into(cfg)
        jobs[task_name, name, seed] = _Job(
            cfg=cfg,
            folder=run_folder(folder, task_name, name, seed),
            seed=train_seed,
            identity={
                "ticket_id": backbones[network].ticket.id,
                "seed": train_seed,
                "config_digest": digest,
            },
            weights=None if task.weights is None else _filled(task.weights, name, seed),
            start=None if start is None else start.folder,
        )
    return jobs


def _filled(weights: str, network: str, seed: int) -> str:
    return weights.replace("{arm}", network.replace(" ", "_")).replace("{seed}", str(seed))


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
        if seed is not None:
            raise ConfigError("--seed is the search's, and the study has a ticket instead of one")
        return Ticket.load(plan.ticket)
    assert plan.search is not None
    cfg, searched = load_config(plan.search), folder / "search"
    if seed is None:
        seed = cfg.get("randomness", {}).get("seed")
    identity = {"seed": seed, "config_digest": config_digest(cfg, seed=seed)}
    require_identity(searched, identity)
    if (searched / "ticket.json").exists():  # written last
        return Ticket.load(searched / "ticket.json")
    write_identity(searched, identity)
    return run_search(cfg, searched, resume=True, seed=seed, quiet=True)


def _done(job: _Job) -> dict[str, Any]:
    """What a run left in ``metrics.json``; it is done now, or gone on with, unless finished."""
    file = job.folder / "metrics.json"
    if not file.exists():
        weights = job.weights if job.start is None else last_checkpoint(job.start)
        write_identity(job.folder, job.identity)
        done = _train_and_test(job.cfg, job.folder, weights, job.seed)
        write_atomically(file, json_text(done | job.identity))
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _train_and_test(cfg: Config, folder: Path, weights: str | None, seed: int) -> dict[str, Any]:
    """Train, test, draw; what was measured."""
    runner = train(cfg, folder, weights=weights, resume=True, seed=seed, quiet=True)
    cost = training_cost(runner)
    metrics = _numbers(runner.test())
    draw_samples(runner, folder / "samples")
    del runner
    gc.collect()  # data loaders and their images go with the runner
    return {
        "metrics": metrics,
        "train_seconds": cost.seconds,
        "peak_memory": cost.peak_memory,
    }


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those of a test's metrics that are one number: some are lists, of a number a class."""
    kinds = (Real, np.ndarray, torch.Tensor)
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, kinds) and getattr(value, "ndim", 0) == 0
    }
