"""The command ``search``: searches a ticket with a search config."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.paths import alone_in
from ean_transfer.cli.switches import DATA, LENGTH, add_recipe, read_changed_config
from ean_transfer.cli.workers import add_workers, workers_of
from ean_transfer.errors import ConfigError
from ean_transfer.io.notices import labelled
from ean_transfer.ticket.display import cells_for, diagram, summary

_OF_TRAINING = (
    *LENGTH,
    "--batch-size",
    "--amp",
    "--accumulate",
    "--clip-grad",
    "--ema",
    "--freeze-backbone",
    "--early-stopping",
)  # the others also change what a search reads or writes


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
    add_recipe(parser, "--val-loss", "--compile")  # for one network, a supernet is many
    add_workers(parser, "masks scored")
    parser.add_shared("--verbose", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Search, and print the ticket."""
    from mmengine.dist import is_main_process

    from ean_transfer.engine.runner import work_dir_of
    from ean_transfer.search.resume import require_new_search
    from ean_transfer.search.run import run_search
    from ean_transfer.search.workers import ScoringWorkers

    cfg = read_changed_config(arguments)
    folder = work_dir_of(cfg, arguments.work_dir)
    if arguments.supernet:
        _refuse_training_options(arguments)
    if not arguments.resume:
        require_new_search(folder, trains=not arguments.supernet)
    alone = alone_in(folder, arguments.launcher)
    with alone, workers_of(arguments) or nullcontext() as workers:
        ticket = run_search(
            cfg,
            folder,
            supernet=arguments.supernet,
            weights=arguments.weights,
            resume=arguments.resume,
            seed=arguments.seed,
            launcher=arguments.launcher,
            elsewhere=None if workers is None else ScoringWorkers(workers.client, workers.threads),
        )
    if is_main_process():
        file = folder / "ticket.json"
        print(labelled("ticket", f"{file}\n{ticket}, {summary(ticket)}"))
        print(labelled("", diagram(ticket, cells_for(sys.stdout))))
        name = _config_to_train(Path(cfg.filename))
        print(labelled("next", shlex.join(["ean", "train", name, "--ticket", str(file)])))


def _refuse_training_options(arguments: argparse.Namespace) -> None:
    """Refuse what changes the training of supernets, where trained ones are given."""
    given = [name for name in _OF_TRAINING if getattr(arguments, name[2:].replace("-", "_"))]
    if given:
        raise ConfigError(
            f"{', '.join(given)}: for the training of supernets, but with --supernet nothing is "
            "trained: leave out one of the two"
        )


def _config_to_train(search: Path) -> str:
    """The config of the network that was searched, by this repository's names and by init's."""
    if search.name == "search.py":
        network = search.with_name("train.py")
    else:
        network = search.with_name(search.name.replace("_search.py", ".py"))
    return str(network) if network != search and network.is_file() else "CONFIG"
