"""A whole study: search, train every arm on every task with every seed, test, and measure."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ean_transfer.analysis.latency import device_name
from ean_transfer.engine.config import load_config
from ean_transfer.errors import ConfigError, TrainingError
from ean_transfer.io.files import locked, write_atomically
from ean_transfer.io.records import remedy
from ean_transfer.search.provenance import versions
from ean_transfer.search.run import run_search
from ean_transfer.study.apart import LOG
from ean_transfer.study.arms import Arm
from ean_transfer.study.chance import fixed_sources
from ean_transfer.study.identity import RESULTS, config_digest, require_identity, write_identity
from ean_transfer.study.jobs import Job, finish, make_jobs, search_folder, train_and_test
from ean_transfer.study.leak import doubt_about_ticket, require_unseen_test_images
from ean_transfer.study.networks import build_networks, count_parameters, measure_increments
from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.result import Run, StudyResult, json_text
from ean_transfer.study.stated import state_claims
from ean_transfer.ticket import Ticket


def run_study(
    plan: StudyPlan,
    work_dir: str | os.PathLike[str],
    *,
    search_seed: int | None = None,
    train_and_test: Callable[[Job], dict[str, Any]] = train_and_test,
    run_all: Callable[[Sequence[Job]], Mapping[Path, str]] | None = None,
) -> StudyResult:
    """Run a study, and write its tickets and ``results.json``.

    Finished runs are reused and unfinished ones resumed. A folder that belongs to another ticket,
    config or starting point is refused (see ``run.json``).

    Args:
        plan: What is compared.
        work_dir: The study's folder.
        search_seed: Seed of the search; that of its config by default.
        train_and_test: What does one run, see :func:`ean_transfer.study.jobs.train_and_test`.
        run_all: What does all runs beforehand, in processes of their own, see
            :meth:`ean_transfer.study.cluster.Workers.run_all`.

    Raises:
        ConfigError, DataError, TicketError: Bad input, before what depends on it is trained; or
            another study runs in the folder.
        TrainingError: Runs of ``run_all`` failed; all others were done.
    """
    folder = Path(work_dir)
    with locked(folder, wait=False):
        return _run_study(plan, folder, search_seed, train_and_test, run_all)


def _run_study(
    plan: StudyPlan,
    folder: Path,
    search_seed: int | None,
    train_and_test: Callable[[Job], dict[str, Any]],
    run_all: Callable[[Sequence[Job]], Mapping[Path, str]] | None,
) -> StudyResult:
    configs = plan.load_configs()
    doubts = [require_unseen_test_images(plan, configs)]
    tickets = _find_tickets(plan, folder, search_seed)
    doubts += [doubt_about_ticket(tickets[name], configs) for name in plan.ticket_files]
    for name, ticket in tickets.items():
        blocks = f"{ticket.connected} of {ticket.num_blocks} blocks"
        print(f"{name} {ticket}: {blocks}", flush=True)
    networks = build_networks(plan, tickets, configs, folder)
    jobs = make_jobs(plan, configs, networks, folder)
    for job in jobs:  # all of them before hours of training
        require_identity(job.folder, job.identity)
    claims = [claim.sentence(plan.quality(claim)) for claim in plan.claims]
    finished = sum((job.folder / RESULTS).exists() for job in jobs)
    stated = state_claims(folder, claims, plan.seeds, finished)

    failures = {} if run_all is None else run_all(jobs)
    if failures:
        first = next(job for job in jobs if job.folder in failures)
        raise TrainingError(
            f"{len(failures)} of {len(jobs)} runs failed, the first one: {first.label}: "
            f"{failures[first.folder]}; see {first.folder / LOG}, and type the command again to do "
            "these runs anew"
        )
    runs: dict[str, dict[Arm, list[Run]]] = {
        task: {arm: [] for arm in plan.compared} for task in plan.tasks
    }
    for job in jobs:
        task, run = plan.tasks[job.task], finish(job, train_and_test)
        for metric in plan.metrics_of(job.task):
            if metric not in run.metrics:
                raise ConfigError(
                    f"{task.config}: the test has no number {metric!r}, found {sorted(run.metrics)}"
                )
        runs[job.task][job.arm].append(run)
        same = "" if job.same_as is None else f", the network of {job.same_as.parent.name}"
        print(f"{job.label}: {task.label} {run.metrics[task.metric]:.2f}{same}", flush=True)

    searched = next((arm for arm in plan.compared if arm.title == "ticket"), None)
    ticket = tickets["ticket"]
    if searched is not None:  # with all options of its attention, unlike in its file
        ticket = networks[searched, plan.seeds[0]].backbone.ticket
    result = StudyResult(
        plan=plan,
        ticket=ticket,
        runs=runs,
        attention_parameters=count_parameters(plan, networks),
        increments=measure_increments(plan, networks),
        compiled_increments=(
            measure_increments(plan, networks, compiled=True) if plan.compiled else {}
        ),
        fixed=fixed_sources(plan, configs),
        stated=stated.remarks(),
        doubt=" ".join(dict.fromkeys(filter(None, doubts))),
        made_with=_made_with(),
    )
    write_atomically(folder / "results.json", json_text(result.to_dict()))
    return result


def _made_with() -> dict[str, str]:
    """What results depend on beside the configs: versions, and the machine that timed the arms."""
    device = torch.device("cpu")
    machine = f"{device_name(device)}, threads: {torch.get_num_threads()}"
    return versions() | {"Python": platform.python_version(), "timed on": machine}


def _find_tickets(plan: StudyPlan, folder: Path, search_seed: int | None) -> dict[str, Ticket]:
    """Arm -> ticket: those given by files are read first, the others are searched."""
    if search_seed is not None and not plan.search_configs:
        raise ConfigError("--seed is the search's, and the study has a ticket instead of one")
    tickets = {}
    for name, file in plan.ticket_files.items():
        print(f"{name}: {file}", flush=True)
        tickets[name] = Ticket.load(file)
    for name, config in plan.search_configs.items():
        print(f"searching: {config}", flush=True)
        tickets[name] = _search(load_config(config), search_folder(folder, name), search_seed)
    return tickets


def _search(cfg: Config, folder: Path, seed: int | None) -> Ticket:
    """Search, or continue a search; the ticket of one that is finished is taken."""
    if seed is None:
        seed = cfg.get("randomness", {}).get("seed")
    identity = {"seed": seed, "config_digest": config_digest(cfg, seed=seed)}
    require_identity(folder, identity)
    if (folder / "ticket.json").exists():  # a search writes it last
        with remedy("delete it, and the search ends again from what it saved"):
            return Ticket.load(folder / "ticket.json")
    write_identity(folder, identity)
    return run_search(cfg, folder, resume=True, seed=seed, quiet=True)
