"""A whole study: search, train every arm on every task with every seed, test, and measure."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ean_transfer.analysis.latency import device_name
from ean_transfer.engine.workers import Workers
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import locked, write_atomically
from ean_transfer.search.provenance import versions
from ean_transfer.study.arms import Arm
from ean_transfer.study.chance import fixed_sources
from ean_transfer.study.cluster import do_all
from ean_transfer.study.identity import RESULTS, require_identity
from ean_transfer.study.jobs import Job, finish, finish_job, make_jobs, train_and_test
from ean_transfer.study.leak import doubt_about_ticket, require_unseen_test_images
from ean_transfer.study.networks import build_networks, count_parameters, measure_increments
from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.result import Run, StudyResult, json_text
from ean_transfer.study.searches import find_ticket, make_searches
from ean_transfer.study.stated import state_claims
from ean_transfer.ticket import Ticket


def run_study(
    plan: StudyPlan,
    work_dir: str | os.PathLike[str],
    *,
    search_seed: int | None = None,
    train_and_test: Callable[[Job], dict[str, Any]] = train_and_test,
    workers: Workers | None = None,
) -> StudyResult:
    """Run a study, and write its tickets and ``results.json``.

    Finished runs are reused and unfinished ones resumed. A folder that belongs to another ticket,
    config or starting point is refused (see ``run.json``).

    Args:
        plan: What is compared.
        work_dir: The study's folder.
        search_seed: Seed of the search; that of its config by default.
        train_and_test: What does one run in this process, see
            :func:`ean_transfer.study.jobs.train_and_test`.
        workers: Workers that do the searches and runs, in processes of their own; ``None`` for one
            after the other in this process.

    Raises:
        ConfigError, DataError, TicketError: Bad input, before what depends on it is trained; or
            another study runs in the folder.
        TrainingError: Searches or runs failed on workers; what does not need them was done.
    """
    folder = Path(work_dir)
    with locked(folder, wait=False):
        return _run_study(plan, folder, search_seed, train_and_test, workers)


def _run_study(
    plan: StudyPlan,
    folder: Path,
    search_seed: int | None,
    train_and_test: Callable[[Job], dict[str, Any]],
    workers: Workers | None,
) -> StudyResult:
    configs = plan.load_configs()
    doubts = [require_unseen_test_images(plan, configs)]
    tickets = _find_tickets(plan, folder, search_seed, workers)
    doubts += [doubt_about_ticket(tickets[name], configs) for name in plan.ticket_files]
    for name, ticket in tickets.items():
        blocks = f"{ticket.connected} of {ticket.num_blocks} blocks"
        print(f"{name} {ticket}: {blocks}", flush=True)
    networks = build_networks(plan, tickets, configs, folder)
    jobs = make_jobs(plan, configs, networks, folder)
    for job in jobs:  # all of them before hours of training
        require_identity(job.folder, job.identity)
    claims = [claim.sentence(plan.quality(claim)) for claim in plan.claims]
    # Also those of seeds and arms that the study no longer has: their results were seen.
    finished = sum(1 for _ in folder.glob(f"*/*/seed*/{RESULTS}"))
    stated = state_claims(folder, claims, plan.seeds, finished)

    if workers is not None:
        do_all(workers, [job for job in jobs if job.same_as is None], finish_job)
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
        same = "" if job.same_as is None else f", as {job.same_as.relative_to(folder)}"
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


def _find_tickets(
    plan: StudyPlan, folder: Path, search_seed: int | None, workers: Workers | None
) -> dict[str, Ticket]:
    """Arm -> ticket: those given by files are read first, the others are searched."""
    if search_seed is not None and not plan.search_configs:
        raise ConfigError("--seed is the search's, and the study has a ticket instead of one")
    tickets = {}
    for name, file in plan.ticket_files.items():
        print(f"{name}: {file}", flush=True)
        tickets[name] = Ticket.load(file)
    searches = make_searches(plan, folder, search_seed)
    for search in searches:  # all of them before hours of searching
        require_identity(search.folder, search.identity)
    if workers is not None and searches:
        # Also those that are done, so that one goes on with as many threads as it began with.
        do_all(workers.among(len(searches)), searches, find_ticket)
    for search in searches:
        if not search.done:
            print(f"searching: {search.cfg.filename}", flush=True)
        tickets[search.name] = find_ticket(search)
    return tickets
