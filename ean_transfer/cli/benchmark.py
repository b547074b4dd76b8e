"""The command ``benchmark``: measures the search, costs and speed with the repository's benchmarks.

The measuring code lies in ``benchmarks/`` beside the package and is not installed with it, but for
that of ``benchmark model``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import ean_transfer
from ean_transfer.cli import benchmark_model
from ean_transfer.cli.output import hand_over, text_for_people
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import picture, seed
from ean_transfer.errors import ConfigError, EANError
from ean_transfer.io.files import expanded


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands, their arguments and the functions that run them."""
    commands = parser.add_commands()
    benchmark_model.add_command(commands)

    search = commands.add_parser("search", help="compare search strategies on tables of scores")
    search.add_argument(
        "--tables", nargs="+", metavar="FILE", help="tables (default: those shipped)"
    )
    search.add_argument("--strategies", nargs="+", metavar="NAME", help="strategies (default: all)")
    search.add_argument("--seeds", type=int, default=100, metavar="N", help="searches per strategy")
    search.add_argument(
        "--budget",
        type=int,
        default=64,
        metavar="N",
        help="distinct masks each may score",
    )
    search.add_argument("--figure", type=picture, metavar="FILE.png", help="draw the regrets")
    _add_results(search)
    search.set_defaults(run=_calls("search", "tables", "strategies", "seeds", "budget", "figure"))

    table = commands.add_parser("table", help="score all masks of a supernet, for such a table")
    table.add_shared("config", help="the supernet's config")
    table.add_argument("--supernet", required=True, metavar="CHECKPOINT", help="its checkpoint")
    table.add_shared(
        "--out", type=expanded, required=True, metavar="FILE.npz", help="the table's file"
    )
    table.add_argument(
        "--bn",
        nargs="+",
        default=["batch", "running"],
        metavar="NAME",
        help="BatchNorm statistics: batch, running, or both",
    )
    table.add_argument(
        "--test-per-class",
        type=int,
        default=100,
        metavar="N",
        help="test images per class",
    )
    table.set_defaults(run=_calls("table", "config", "supernet", "out", "bn", "test_per_class"))

    truth = commands.add_parser(
        "truth", help="train masks from scratch: the ground truth that proxies are judged by"
    )
    truth.add_shared("config", help="a classification config with attention")
    truth.add_argument("--masks", type=int, metavar="N", help="how many masks (default: all)")
    truth.add_argument(
        "--seeds",
        type=seed,
        nargs="+",
        default=[0],
        metavar="N",
        help="seeds of each mask",
    )
    truth.add_shared("--work-dir", required=True, help="where finished trainings are kept")
    truth.add_shared("--out", metavar="FILE.json", help="write the ground truth to this file")
    truth.set_defaults(run=_calls("truth", "config", "masks", "seeds", "work_dir", "out"))

    proxy = commands.add_parser("proxy", help="how well supernets rank masks, by a ground truth")
    proxy.add_shared("config", help="the supernets' config")
    proxy.add_argument(
        "--truth", required=True, metavar="FILE.json", help="the file that truth wrote"
    )
    proxy.add_argument(
        "--supernet",
        nargs="+",
        action="append",
        required=True,
        metavar=("NAME", "CHECKPOINT"),
        help="a kind of supernet and its checkpoints, one per seed; repeat it for each kind",
    )
    _add_results(proxy)
    proxy.set_defaults(run=_calls("proxy", "config", "truth", "supernet"))

    scoring = commands.add_parser("scoring", help="time masks scored together and one by one")
    scoring.set_defaults(run=_calls("scoring"))

    density = commands.add_parser("density", help="time the density maps of a large crowd")
    density.set_defaults(run=_calls("density"))

    counting = commands.add_parser("counting", help="draw the results of a study's counting runs")
    counting.add_shared("config", help="the counting task's config")
    counting.add_argument("--study", required=True, metavar="DIR", help="the study's work dir")
    counting.add_argument(
        "--task",
        default="counting",
        metavar="NAME",
        help="the task's name in the study",
    )
    counting.add_shared("--out-dir", dest="out", required=True)
    counting.accept_old("--out", "--out-dir")
    counting.add_argument(
        "--worst",
        type=int,
        default=5,
        metavar="N",
        help="images with the largest errors",
    )
    counting.add_shared("--without-images")
    counting.set_defaults(
        run=_calls("counting", "config", "study", "task", "out", "worst", "without_images")
    )

    faults = commands.add_parser(
        "faults", help="kill toy runs, tear their files, flip bits; resume and compare (Linux)"
    )
    kinds = ("training", "search", "study")
    faults.add_argument("--runs", nargs="+", choices=kinds, default=kinds, help="kinds of runs")
    for name, default, what in (
        ("--kills", 33, "kills"),
        ("--tears", 2, "damaged files per kind of file"),
        ("--flips", 200, "flipped bits per kind of file"),
    ):
        faults.add_argument(name, type=int, default=default, metavar="N", help=what)
    faults.add_shared("--seed", default=0, help="seed of all draws")
    _add_results(faults)
    faults.set_defaults(run=_calls("faults", "runs", "kills", "tears", "flips", "seed"))

    cost = commands.add_parser("cost", help="parameters and MACs of attention on backbones")
    cost.add_shared("--backbone", nargs="+", required=True, help="e.g. resnet50 resnet20_cifar")
    cost.add_shared(
        "--attention",
        nargs="+",
        required=True,
        metavar="NAME[:KEY=VALUE,...]",
        help="e.g. SE SE:reduction=4 SGE:groups=8",
    )
    cost.add_shared("--image-size", type=int, default=224, help="side of the image")
    cost.add_shared("--out", metavar="FILE.md", help="write the table as Markdown")
    cost.set_defaults(run=_calls("cost", "backbone", "attention", "image_size", "out"))

    folding = commands.add_parser("folding", help="time a folded network against the plain one")
    folding.add_shared("--backbone", default="resnet20_cifar", help="the backbone")
    folding.add_shared(
        "--attention",
        default="SE:reduction=4",
        metavar="NAME[:KEY=VALUE,...]",
        help="the attention",
    )
    folding.add_shared("--image-size", type=int, default=32, help="side of the images")
    folding.add_argument(
        "--batch-size",
        type=int,
        default=64,
        metavar="N",
        help="images per forward pass",
    )
    folding.add_argument("--rounds", type=int, default=200, metavar="N", help="timed rounds")
    _add_results(folding)
    folding.set_defaults(
        run=_calls("folding", "backbone", "attention", "image_size", "batch_size", "rounds")
    )


def _add_results(parser: ArgumentParser) -> None:
    parser.add_shared("--json", "--out")
    parser.accept_old("--json", "--out", suffix=".json")


def _benchmarks() -> Any:
    """The module ``benchmarks.commands`` of the repository that this package lies in."""
    root = Path(ean_transfer.__file__).parents[1]
    if not (root / "benchmarks" / "commands.py").is_file():
        raise ConfigError(
            "benchmarks are not part of the installed package: run this command in a clone of the "
            "repository, installed with pip install -e ."
        )
    if str(root) not in sys.path:  # an editable install finds the package, but not what is beside
        sys.path.append(str(root))
    return import_module("benchmarks.commands")


def _calls(benchmark: str, *names: str) -> Callable[[argparse.Namespace], None]:
    """Make the function that runs a command: it calls a benchmark with some of the arguments.

    Args:
        benchmark: Name of the function in ``benchmarks.commands``.
        names: Names of the arguments that it takes.
    """

    def run(arguments: argparse.Namespace) -> None:
        measure = getattr(_benchmarks(), benchmark)
        options = {name: getattr(arguments, name) for name in names}
        if "json" in arguments:
            with text_for_people(arguments):
                results = measure(**options)
            hand_over(arguments, results)
            if "failed" in results:
                raise EANError(results["failed"])
        else:
            measure(**options)

    return run
