"""The command ``run``: runs a project that ``init`` has written."""

from __future__ import annotations

import argparse
import shlex
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.workers import add_workers, workers_of
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import expanded

if TYPE_CHECKING:
    from ean_transfer.study.jobs import Job

NETWORK = "network.pth"
"""The trained network with the ticket, in the project's ``run`` folder."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.explain(
        "Trains a supernet, searches a ticket, trains the network without attention (none), with "
        "attention everywhere (full) and with the ticket, tests the three, and writes a table and "
        "a page. What is done is kept: the same command goes on after a stop."
    )
    parser.add_argument(
        "project", metavar="DIR", type=expanded, help="a folder written by 'ean init'"
    )
    add_workers(parser, "trainings")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the project's study, and say where everything is."""
    file = arguments.project / "study.py"
    if not file.is_file():
        problem = "found no study.py in it"
        if not arguments.project.is_dir():
            problem = "found a file" if arguments.project.exists() else "found no such folder"
        raise ConfigError(
            f"{arguments.project}: expected a project's folder, {problem}; 'ean init' writes one, "
            "and 'ean study CONFIG' runs a study's config"
        )
    from ean_transfer.cli.study import run_and_show
    from ean_transfer.engine.checkpoints import last_checkpoint
    from ean_transfer.engine.config import load_config
    from ean_transfer.io.files import replacing
    from ean_transfer.study.identity import RESULTS
    from ean_transfer.study.jobs import planned_runs, run_folder, train_and_test
    from ean_transfer.study.plan import StudyPlan
    from ean_transfer.study.report import verdict_lines

    cfg, folder = load_config(file), arguments.project / "run"
    plan = StudyPlan.from_config(cfg)
    number = sum(not (run_folder(folder, *one) / RESULTS).exists() for one in planned_runs(plan))
    run_and_show(
        cfg,
        folder,
        workers_of(arguments),
        shlex.join(["ean", "run", str(arguments.project)]),
        train_and_test=_with_estimate(train_and_test, number),
    )
    for line in verdict_lines(folder):
        print(f"search: {line}")
    task = next(iter(plan.tasks))
    arm = next((arm for arm in plan.compared if arm.kind == "ticket"), plan.compared[-1])
    network = folder / NETWORK
    with replacing(network) as partial:
        shutil.copyfile(last_checkpoint(run_folder(folder, task, arm, plan.seeds[0])), partial)
    command = shlex.join(["ean", "predict", str(arguments.project / "train.py"), str(network)])
    print(f"network: {network}\nnext:    {command} YOUR_IMAGES")


def _with_estimate(
    train_and_test: Callable[[Job], dict[str, Any]], number: int
) -> Callable[[Job], dict[str, Any]]:
    """The same function, which also says how long the trainings that are left will take."""
    spent: list[float] = []

    def timed(job: Job) -> dict[str, Any]:
        start = time.monotonic()
        measured = train_and_test(job)
        spent.append(time.monotonic() - start)
        if left := number - len(spent):
            minutes = left * sum(spent) / len(spent) / 60
            print(f"at most {left} trainings left, about {minutes:.0f} min", flush=True)
        return measured

    return timed
