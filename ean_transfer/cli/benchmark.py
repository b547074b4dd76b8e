"""The command ``benchmark``: measures the search, costs and speed with the repository's benchmarks.

The measuring code lies in ``benchmarks/`` beside the package and is not installed with it.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import ean_transfer
from ean_transfer.cli.output import hand_over, text_for_people
from ean_transfer.cli.parser import ArgumentParser, picture, seed
from ean_transfer.errors import ConfigError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands, their arguments and the functions that run them."""
    commands = parser.add_commands()

    search = commands.add_parser("search", help="compare search strategies on tables of scores")
    search.add_argument(
        "--tables", nargs="+", metavar="FILE", help="tables (default: those shipped)"
    )
    search.add_argument("--strategies", nargs="+", metavar="NAME", help="strategies (default: all)")
    search.add_argument(
        "--seeds", type=int, default=100, metavar="N", help="searches per strategy (default: 100)"
    )
    search.add_argument(
        "--budget",
        type=int,
        default=64,
        metavar="N",
        help="distinct masks each may score (default: 64)",
    )
    search.add_argument("--figure", type=picture, metavar="FILE.png", help="draw the regrets")
    _add_results(search)
    search.set_defaults(run=run_search)

    table = commands.add_parser("table", help="score all masks of a supernet, for such a table")
    table.add_shared("config", help="the supernet's config")
    table.add_argument("--supernet", required=True, metavar="CHECKPOINT", help="its checkpoint")
    table.add_shared("--out", type=Path, required=True, metavar="FILE.npz", help="the table's file")
    table.add_argument(
        "--bn",
        nargs="+",
        default=["batch", "running"],
        metavar="NAME",
        help="BatchNorm statistics: batch, running, or both (default: both)",
    )
    table.add_argument(
        "--test-per-class",
        type=int,
        default=100,
        metavar="N",
        help="test images per class (default: 100)",
    )
    table.set_defaults(run=run_table)

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
        help="seeds of each mask (default: 0)",
    )
    truth.add_shared("--work-dir", required=True, help="where finished trainings are kept")
    truth.add_shared("--out", metavar="FILE.json", help="write the ground truth to this file")
    truth.set_defaults(run=run_truth)

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
    proxy.set_defaults(run=run_proxy)

    scoring = commands.add_parser("scoring", help="time masks scored together and one at a time")
    scoring.set_defaults(run=run_scoring)

    density = commands.add_parser("density", help="time the density maps of a large crowd")
    density.set_defaults(run=run_density)

    counting = commands.add_parser("counting", help="draw the results of a study's counting runs")
    counting.add_shared("config", help="the counting task's config")
    counting.add_argument("--study", required=True, metavar="DIR", help="the study's work dir")
    counting.add_argument(
        "--task",
        default="counting",
        metavar="NAME",
        help="the task's name in the study (default: counting)",
    )
    counting.add_shared("--out-dir", required=True)
    counting.accept_old("--out", "--out-dir")
    counting.add_argument(
        "--worst",
        type=int,
        default=5,
        metavar="N",
        help="images with the largest errors (default: 5)",
    )
    counting.add_shared("--without-images")
    counting.set_defaults(run=run_counting)

    cost = commands.add_parser("cost", help="parameters and MACs of attention on backbones")
    cost.add_shared("--backbone", nargs="+", required=True, help="e.g. resnet50 resnet20_cifar")
    cost.add_shared(
        "--attention",
        nargs="+",
        required=True,
        metavar="NAME[:KEY=VALUE,...]",
        help="e.g. SE SE:reduction=4 SGE:groups=8",
    )
    cost.add_shared("--image-size", type=int, default=224, help="side of the image (default: 224)")
    cost.add_shared("--out", metavar="FILE.md", help="write the table as Markdown")
    cost.set_defaults(run=run_cost)

    folding = commands.add_parser("folding", help="time a folded network against the plain one")
    folding.add_shared(
        "--backbone", default="resnet20_cifar", help="backbone (default: resnet20_cifar)"
    )
    folding.add_shared(
        "--attention",
        default="SE:reduction=4",
        metavar="NAME[:KEY=VALUE,...]",
        help="attention (default: SE:reduction=4)",
    )
    folding.add_shared(
        "--image-size", type=int, default=32, help="side of the images (default: 32)"
    )
    folding.add_argument(
        "--batch-size",
        type=int,
        default=64,
        metavar="N",
        help="images per forward pass (default: 64)",
    )
    folding.add_argument(
        "--rounds", type=int, default=200, metavar="N", help="timed rounds (default: 200)"
    )
    _add_results(folding)
    folding.set_defaults(run=run_folding)


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


def run_search(arguments: argparse.Namespace) -> None:
    """Compare search strategies."""
    with text_for_people(arguments):
        results = _benchmarks().search(
            tables=arguments.tables,
            strategies=arguments.strategies,
            seeds=arguments.seeds,
            budget=arguments.budget,
            figure=arguments.figure,
        )
    hand_over(arguments, results)


def run_table(arguments: argparse.Namespace) -> None:
    """Score all masks of a supernet."""
    _benchmarks().table(
        arguments.config,
        supernet=arguments.supernet,
        out=arguments.out,
        bn=arguments.bn,
        test_per_class=arguments.test_per_class,
    )


def run_truth(arguments: argparse.Namespace) -> None:
    """Train masks from scratch."""
    _benchmarks().truth(
        arguments.config,
        masks=arguments.masks,
        seeds=arguments.seeds,
        work_dir=arguments.work_dir,
        out=arguments.out,
    )


def run_proxy(arguments: argparse.Namespace) -> None:
    """Judge supernets by a ground truth."""
    with text_for_people(arguments):
        results = _benchmarks().proxy(
            arguments.config, truth=arguments.truth, supernet=arguments.supernet
        )
    hand_over(arguments, results)


def run_scoring(arguments: argparse.Namespace) -> None:
    """Time the scoring of masks."""
    _benchmarks().scoring()


def run_density(arguments: argparse.Namespace) -> None:
    """Time density maps."""
    _benchmarks().density()


def run_counting(arguments: argparse.Namespace) -> None:
    """Draw the results of a study's counting runs."""
    _benchmarks().counting(
        arguments.config,
        study=arguments.study,
        task=arguments.task,
        out=arguments.out_dir,
        worst=arguments.worst,
        without_images=arguments.without_images,
    )


def run_cost(arguments: argparse.Namespace) -> None:
    """Count parameters and MACs."""
    _benchmarks().cost(
        backbone=arguments.backbone,
        attention=arguments.attention,
        image_size=arguments.image_size,
        out=arguments.out,
    )


def run_folding(arguments: argparse.Namespace) -> None:
    """Time a folded network."""
    with text_for_people(arguments):
        results = _benchmarks().folding(
            backbone=arguments.backbone,
            attention=arguments.attention,
            image_size=arguments.image_size,
            batch_size=arguments.batch_size,
            rounds=arguments.rounds,
        )
    hand_over(arguments, results)
