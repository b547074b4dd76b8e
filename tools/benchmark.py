"""Measure: python tools/benchmark.py search, or cost, folding, scoring ... (see --help)."""

from __future__ import annotations

import argparse

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, read_seed


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(description="Measure the search, density maps and counting studies.")
    commands = parser.add_subparsers(dest="command", required=True)

    search = commands.add_parser("search", help="compare strategies on tables of scores")
    search.add_argument("--tables", nargs="+", metavar="FILE", help="default: those shipped")
    search.add_argument("--strategies", nargs="+", metavar="NAME", help="default: all")
    search.add_argument("--seeds", type=int, default=100, help="searches of each (default: 100)")
    search.add_argument("--budget", type=int, default=64, help="distinct evaluations of each")
    search.add_argument("--json", metavar="FILE", help="write the results here")
    search.add_argument("--figure", metavar="FILE", help="draw the regrets here (.png)")

    table = commands.add_parser("table", help="score all masks of a supernet")
    table.add_argument("config", help="the supernet's config")
    table.add_argument("--supernet", required=True, help="its checkpoint")
    table.add_argument("--out", required=True, help="the table's file (.npz)")
    table.add_argument("--bn", nargs="+", default=["batch", "running"], help="statistics")
    table.add_argument("--test-per-class", type=int, default=100, help="test images a class")

    truth = commands.add_parser(
        "truth", help="train masks from scratch, the ground truth of proxies"
    )
    truth.add_argument("config", help="a classification config with attention")
    truth.add_argument("--masks", type=int, help="how many; all of them by default")
    truth.add_argument("--seeds", type=read_seed, nargs="+", default=[0])
    truth.add_argument("--work-dir", required=True, help="finished trainings are kept here")
    truth.add_argument("--out", help="write the table to this JSON file")

    proxy = commands.add_parser("proxy", help="how supernets rank masks, against ground truth")
    proxy.add_argument("config", help="the supernets' config")
    proxy.add_argument("--truth", required=True, help="what the command truth wrote")
    proxy.add_argument(
        "--supernet",
        nargs="+",
        action="append",
        required=True,
        metavar=("NAME", "CHECKPOINT"),
        help="a kind of supernet and its checkpoints, one a seed; give it once for each kind",
    )
    proxy.add_argument("--fine-tune", type=int, default=0, help="also fine-tune each mask")
    proxy.add_argument("--json", metavar="FILE", help="write the results here")

    commands.add_parser("scoring", help="masks scored together against one at a time")
    commands.add_parser("density", help="seconds that the density maps of a large crowd take")

    counting = commands.add_parser("counting", help="draw what a study's counting runs did")
    counting.add_argument("config", help="the counting task's config")
    counting.add_argument("--study", required=True, metavar="DIR", help="the study's work dir")
    counting.add_argument("--task", default="counting", help="its name in the study")
    counting.add_argument("--out", required=True, metavar="DIR", help="where the figures go")
    counting.add_argument("--worst", type=int, default=5, help="images with the largest errors")
    counting.add_argument(
        "--without-images", action="store_true", help="heat maps and points alone, on black"
    )

    cost = commands.add_parser("cost", help="parameters and MACs of attention on backbones")
    cost.add_argument("--backbone", nargs="+", required=True, metavar="NAME")
    cost.add_argument(
        "--attention",
        nargs="+",
        required=True,
        metavar="NAME[:KEY=VALUE,...]",
        help="e.g. SE SE:reduction=4 SGE:groups=8",
    )
    cost.add_argument("--image-size", type=int, default=224, help="side in pixels (default: 224)")
    cost.add_argument("--out", metavar="FILE.md", help="write the table as Markdown")

    folding = commands.add_parser("folding", help="time a folded network against the plain one")
    folding.add_argument("--backbone", default="resnet20_cifar", metavar="NAME")
    folding.add_argument("--attention", default="SE:reduction=4", metavar="NAME[:KEY=VALUE,...]")
    folding.add_argument("--image-size", type=int, default=32, help="side in pixels (default: 32)")
    folding.add_argument("--batch-size", type=int, default=64, help="default: 64")
    folding.add_argument("--rounds", type=int, default=200, help="default: 200")
    folding.add_argument("--json", metavar="FILE", help="write the results here")
    return parser.parse_args()


@friendly_errors()
def main() -> None:
    args = parse_args()
    from benchmarks import commands

    options = vars(args)
    getattr(commands, options.pop("command"))(**options)


if __name__ == "__main__":
    main()
