"""Attention that is folded away: python tools/asr.py report CONFIG CHECKPOINT --choose-on train"""

from __future__ import annotations

import argparse
from typing import Any

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options, read_seed


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(description="What a trained network's attention is worth, and folding.")
    commands = parser.add_subparsers(dest="command", required=True)

    stripes = commands.add_parser("stripes", help="draw attention values, image x channel")
    _add_network(stripes)
    stripes.add_argument("--out", required=True, metavar="FILE.png", help="the picture")
    stripes.add_argument("--images", type=int, default=256, help="of the test set (default: 256)")
    stripes.add_argument(
        "--history",
        metavar="stripes.json",
        help="draw instead the scores over the training, which StripeHook wrote",
    )

    report = commands.add_parser(
        "report",
        help="what each connection is worth; which to drop, fold or keep under a budget",
    )
    _add_network(report)
    report.add_argument(
        "--choose-on",
        choices=("train", "val"),
        default="val",
        help="the images to choose by, never the test set (default: val)",
    )
    report.add_argument("--images", type=int, default=2000, help="of them (default: 2000)")
    report.add_argument(
        "--budget", type=float, default=0.5, help="what the metric may lose in all (default: 0.5)"
    )
    _add_metric(report)
    report.add_argument(
        "--lower-is-better", action="store_true", help="of the metric, e.g. a counter's MAE"
    )
    report.add_argument("--seed", type=read_seed, default=0, help="of the draw of images")
    report.add_argument("--json", metavar="FILE", help="write everything here")
    report.add_argument("--save", metavar="FILE.pth", help="write the proposed network here")

    folded = commands.add_parser(
        "folded", help="several networks as trained, folded, and with their attention dropped"
    )
    folded.add_argument("config", help="the config that the networks were trained with")
    folded.add_argument(
        "networks",
        nargs="+",
        metavar="NAME=CHECKPOINT[,CHECKPOINT...]",
        help="a title and its checkpoints, one a seed",
    )
    folded.add_argument(
        "--images", type=int, default=2000, help="training images for the means (default: 2000)"
    )
    _add_metric(folded)
    folded.add_argument("--seed", type=read_seed, default=0, help="of the draw of images")
    folded.add_argument("--json", metavar="FILE", help="write everything here")
    add_cfg_options(folded)
    return parser.parse_args()


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="the config that the network was trained with")
    parser.add_argument("checkpoint", help="its checkpoint, with the ticket it carries")
    add_cfg_options(parser)


def _add_metric(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metric", default="accuracy/top1", help="default: accuracy/top1")


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.asr.folding import fold as commands

    options: dict[str, Any] = vars(args)
    getattr(commands, options.pop("command"))(**options)


if __name__ == "__main__":
    main()
