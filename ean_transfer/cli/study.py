"""The command ``study``: runs a study config and shows its table."""

from __future__ import annotations

import argparse
import os
import shlex
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import read_config
from ean_transfer.cli.workers import add_workers, workers_of

if TYPE_CHECKING:
    from mmengine.config import Config

    from ean_transfer.engine.workers import Workers
    from ean_transfer.study.result import StudyResult


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.add_shared("config", help="a study config (configs/study/*.py)")
    parser.add_shared("--work-dir")
    parser.add_shared("--seed", help="seed of the search; overrides the search config's")
    where = add_workers(parser, "searches and runs")
    where.add_argument(
        "--status",
        action="store_true",
        help="only list the runs: done, failed or to do, and how long they take",
    )
    where.add_argument(
        "--dry-run",
        action="store_true",
        help="the same, with a few iterations of each task to say how long",
    )
    parser.add_shared("--verbose", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the study, continuing one that was stopped; print its table and write its page."""
    from ean_transfer.engine.runner import work_dir_of

    cfg = read_config(arguments)
    work_dir = work_dir_of(cfg, arguments.work_dir)
    if arguments.status or arguments.dry_run:
        _show_status(cfg, work_dir, timing=arguments.dry_run)
        return
    command = ["ean", "study", os.path.relpath(cfg.filename)]
    if arguments.seed is not None:
        command += ["--seed", str(arguments.seed)]
    if arguments.cfg_options:
        command += ["--cfg-options", *arguments.cfg_options]
    workers, seed = workers_of(arguments), arguments.seed
    run_and_show(cfg, work_dir, workers, shlex.join(command), search_seed=seed)


def _show_status(cfg: Config, work_dir: Path, timing: bool) -> None:
    """Print a line per search and run, and how long the trainings that are left will take."""
    from ean_transfer.io.terminal import aligned
    from ean_transfer.study.plan import StudyPlan
    from ean_transfer.study.status import status, time_parts

    plan = StudyPlan.from_config(cfg)
    states = status(plan, work_dir, time_parts(plan) if timing else None)
    print(aligned([state.cells for state in states]))
    left = [state for state in states if state.state != "done"]
    seconds = [state.expected for state in left]
    known = [value for value in seconds if value is not None]
    print(f"{len(states) - len(left)} of {len(states)} done", end="")
    if left and len(known) == len(left):
        print(f", at most {sum(known) / 60:.0f} min of training left, one after the other")
    else:
        print(f", {len(left)} left" if left else "")


def run_and_show(
    cfg: Config,
    work_dir: Path,
    workers: AbstractContextManager[Workers] | None,
    command: str,
    **options: Any,
) -> StudyResult:
    """Run a study's config, write its page, and print its table and where everything is.

    Args:
        cfg: The config.
        work_dir: The study's folder.
        workers: Workers that do searches and runs; ``None`` for one after the other in this
            process.
        command: What repeats the study, for its page.
        options: Other arguments of :func:`~ean_transfer.study.run.run_study`.
    """
    from ean_transfer.io.tables import print_table
    from ean_transfer.study.plan import StudyPlan
    from ean_transfer.study.report import write_report
    from ean_transfer.study.run import run_study

    plan = StudyPlan.from_config(cfg)
    with workers or nullcontext() as opened:
        result = run_study(plan, work_dir, workers=opened, **options)
    title = cfg.get("title", Path(cfg.filename).stem)
    page = write_report(result, work_dir, title=title, command=command)
    if result.doubt:
        print(result.doubt)
    for verdict in result.verdicts:
        print(f"{verdict.claim}: {verdict.text}")
    print_table(result.rows(), title)
    print(f"ticket: {work_dir / 'ticket.json'}\npage:   {page}")
    return result
