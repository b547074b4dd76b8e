"""A study: arms x tasks x seeds, held equal in everything but the ticket, into one table."""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.analysis.latency import time_increments
from ean_transfer.analysis.samples import draw_samples
from ean_transfer.asr import fold
from ean_transfer.attention import attention_options
from ean_transfer.backbones import TicketedResNet
from ean_transfer.errors import ConfigError
from ean_transfer.launch import backbone_configs, last_checkpoint, load_config, set_ticket
from ean_transfer.resources import training_cost
from ean_transfer.search.run import run_search
from ean_transfer.study_plan import RANDOM, StudyPlan, Task, arm_of, split_asr
from ean_transfer.study_result import Run, StudyResult
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket, write_atomically
from ean_transfer.ticket_source import carry
from ean_transfer.training import train


def run_study(
    plan: StudyPlan, work_dir: str | os.PathLike[str], *, search_seed: int | None = None
) -> StudyResult:
    """Search, train every arm on every task with every seed, test, and measure.

    What is already in the work dir is not done again, so a stopped study goes on where it was.
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

    runs: dict[str, dict[str, list[Run]]] = {
        task: {name: [] for name in plan.networks} for task in plan.tasks
    }
    for task_name, name, seed in _runs(plan):
        task, network = plan.tasks[task_name], networks[name, seed]
        own = backbones[network].ticket
        folder_of_run = run_folder(folder, task_name, name, seed)
        train_seed = plan.seeds[0] if task.once else seed
        cfg = load_config(task.config, _seeds(task, train_seed))
        digest = _digest(cfg, network.attention, task.weights, train_seed)
        done = _finished(folder_of_run, own, digest)
        if done is None:
            network.put_into(cfg)
            weights = None if task.weights is None else _filled(task.weights, name, seed)
            if task.starts_from is not None:
                weights = last_checkpoint(_start(plan, folder, task.starts_from, name, seed))
            done = _train_and_test(cfg, folder_of_run, weights, train_seed)
            folder_of_run.mkdir(parents=True, exist_ok=True)
            done |= {"ticket_id": own.id, "seed": train_seed, "config_digest": digest}
            write_atomically(folder_of_run / "metrics.json", json.dumps(done, indent=2) + "\n")
        found = done["metrics"]
        if task.metric not in found:
            raise ConfigError(f"{task.config}: no metric {task.metric!r}, found {sorted(found)}")
        cost = (done.get("train_seconds"), done.get("peak_memory"))
        runs[task_name][name].append(Run(seed, str(own), found, *cost))
        label = f"{task_name}, {name}, seed {seed}: {task.label}"
        print(f"{label} {found[task.metric]:.2f}", flush=True)

    # What costs at inference: attention that is to be folded is gone by then.
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
    result = StudyResult(
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
    write_atomically(folder / "results.json", json.dumps(result.to_dict(), indent=2) + "\n")
    return result


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


def _start(plan: StudyPlan, folder: Path, task: str, network: str, seed: int) -> Path:
    """The run whose backbone another task's run starts from."""
    return run_folder(folder, task, network, _seed_of(plan, task, network, seed))


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


def _backbone(plan: StudyPlan, network: _Network) -> TicketedResNet:
    """A network's backbone, which all tasks have in common.

    Raises:
        ConfigError: If they do not.
    """
    found: dict[str, TicketedResNet] = {}
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


def _digest(cfg: Config, attention: str | None, weights: str | None, seed: int) -> str:
    """Twelve hex digits that tell one training from another, the ticket apart."""
    what = json.dumps([cfg.to_dict(), attention, weights, seed], default=str, sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:12]


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
    searched = folder / "search" / "ticket.json"
    if searched.exists():
        ticket = Ticket.load(searched)
        done_with = ticket.provenance.get("settings", {}).get("seed")
        if seed is not None and seed != done_with:
            raise ConfigError(
                f"{searched}: was searched with seed {done_with}, found --seed {seed}: choose "
                "another --work-dir"
            )
        return ticket
    cfg = load_config(plan.search)
    return run_search(cfg, folder / "search", resume=True, seed=seed, quiet=True)


def _finished(folder: Path, ticket: Ticket, digest: str) -> dict[str, Any] | None:
    """What a run that is done left in ``metrics.json``, ``None`` if it is not done.

    Raises:
        ConfigError: If it was another training.
    """
    file = folder / "metrics.json"
    if not file.exists():
        return None
    done = json.loads(file.read_text(encoding="utf-8"))
    if done["ticket_id"] != ticket.id:
        raise ConfigError(
            f"{file}: the run was done with ticket id {done['ticket_id']}, the study now has "
            f"{ticket.id}: choose another --work-dir"
        )
    if done.get("config_digest", digest) != digest:
        raise ConfigError(
            f"{file}: the run was done with another config, attention, weights or seed than the "
            "study now has: choose another --work-dir"
        )
    return done


def _train_and_test(cfg: Config, folder: Path, weights: str | None, seed: int) -> dict[str, Any]:
    """Train, test, draw; what was measured."""
    runner = train(cfg, folder, weights=weights, resume=True, seed=seed, quiet=True)
    cost = training_cost(runner)
    metrics = {name: float(value) for name, value in runner.test().items()}
    draw_samples(runner, folder / "samples")
    del runner
    gc.collect()  # data loaders and their images go with the runner
    return {
        "metrics": metrics,
        "train_seconds": cost.seconds,
        "peak_memory": cost.peak_memory,
    }
