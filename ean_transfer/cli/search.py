"""The command ``search``: searches a ticket with a search config."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.switches import DATA, LENGTH, add_recipe, read_changed_config
from ean_transfer.cli.workers import add_workers, workers_of
from ean_transfer.io.notices import labelled
from ean_transfer.ticket.display import cells_for, diagram, summary


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.add_shared("config", help="a search config (configs/*/*_search.py)")
    parser.add_argument(
        "--supernet",
        nargs="+",
        metavar="CHECKPOINT",
        help="trained supernets, whose scores are averaged; without it they are trained first",
    )
    parser.add_argument(
        "--weights",
        metavar="CHECKPOINT",
        help="start the supernets' backbone from a checkpoint of any task, or another source that "
        "train knows",
    )
    parser.add_shared("--work-dir", "--resume", "--seed", "--launcher")
    parser.add_shared(*LENGTH, *DATA)
    add_recipe(parser, "--val-loss")  # a supernet's validation scores masks
    add_workers(parser, "masks scored")
    parser.add_shared("--verbose", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Search, and print the ticket."""
    from mmengine.dist import is_main_process

    from ean_transfer.engine.runner import default_work_dir
    from ean_transfer.search.run import run_search
    from ean_transfer.search.workers import ScoringWorkers

    cfg = read_changed_config(arguments)
    with workers_of(arguments) or nullcontext() as workers:
        ticket = run_search(
            cfg,
            arguments.work_dir,
            supernet=arguments.supernet,
            weights=arguments.weights,
            resume=arguments.resume,
            seed=arguments.seed,
            launcher=arguments.launcher,
            elsewhere=None if workers is None else ScoringWorkers(workers.client, workers.threads),
        )
    if is_main_process():
        file = Path(arguments.work_dir or default_work_dir(cfg)) / "ticket.json"
        print(labelled("ticket", f"{file}\n{ticket}, {summary(ticket)}"))
        print(labelled("", diagram(ticket, cells_for(sys.stdout))))
        # By the names of this repository, and of what `ean init` writes.
        network = Path(str(cfg.filename).replace("_search.py", ".py"))
        name = str(network) if "_search.py" in str(cfg.filename) and network.is_file() else "CONFIG"
        print(labelled("next", shlex.join(["ean", "train", name, "--ticket", str(file)])))
