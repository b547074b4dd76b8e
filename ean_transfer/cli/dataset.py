"""The command ``dataset``: checks a data set's folder; draws what a training will see."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from ean_transfer.cli.output import print_json
from ean_transfer.cli.parser import ArgumentParser, at_least, picture, read_config
from ean_transfer.errors import ConfigError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands, their arguments and the functions that run them."""
    parser.epilog = """examples:
  %(prog)s check shanghaitech data/shanghaitech --part B --split test
  %(prog)s check qnrf data/UCF-QNRF_ECCV18 --sheet qnrf.png
  %(prog)s check dots data/cells --option image_suffix=cell.png --json
  %(prog)s augment configs/segmentation/toy.py --out augmented.png"""
    commands = parser.add_commands()

    check = commands.add_parser(
        "check",
        help="list everything that is wrong with a counting data set's folder",
        description="Exit code 0: no problems; 1: problems; 2: wrong usage, or no such folder.",
    )
    check.add_argument(
        "kind", metavar="KIND", help="shanghaitech, qnrf, jhu, nwpu, dots or a registered data set"
    )
    check.add_argument("data_root", metavar="DATA_ROOT", help="the data set's folder")
    check.add_argument("--split", metavar="NAME", help="train, val or test, if there are several")
    check.add_argument("--part", metavar="NAME", help="part of shanghaitech: A or B")
    check.add_shared(
        "--option", help="another argument of the data set, e.g. outside=clamp; may be repeated"
    )
    check.add_argument(
        "--sheet", type=picture, metavar="FILE.png", help="draw 16 of the images in one picture"
    )
    check.add_shared("--json")
    check.set_defaults(run=run_check)

    augment = commands.add_parser(
        "augment",
        help="draw augmented training samples of segmentation or counting with their labels",
        description="Run a config's training pipeline on images spread evenly over its training "
        "set, and draw the results, with label maps or points, in one picture.",
    )
    augment.add_shared("config", help="a config of segmentation or counting")
    augment.add_shared("--out", type=picture, required=True, metavar="FILE.png", help="the picture")
    augment.add_shared(
        "--samples",
        nargs=None,
        type=at_least(1),
        default=16,
        metavar="N",
        help="how many",
    )
    augment.add_shared("--seed", default=0, help="seed of the augmentation")
    augment.add_shared("--cfg-options")
    augment.set_defaults(run=run_augment)


def run_check(arguments: argparse.Namespace) -> int:
    """Print what is wrong with a data set's folder."""
    options = _options(arguments)
    from ean_transfer.crowd_counting.folder_report import check_dataset, report_text

    report = check_dataset(arguments.kind, arguments.data_root, **options)
    if arguments.json:
        print_json(asdict(report) | {"problems": report.problems})
    else:
        print(report_text(report))
    if arguments.sheet and report.images:
        from ean_transfer.crowd_counting.contact_sheet import contact_sheet
        from ean_transfer.engine.inference import write_picture

        write_picture(
            arguments.sheet, contact_sheet(arguments.kind, arguments.data_root, **options)
        )
        print(f"wrote {arguments.sheet}", file=sys.stderr)
    return 1 if report.problems else 0


def run_augment(arguments: argparse.Namespace) -> None:
    """Draw augmented training samples."""
    from ean_transfer.analysis.inspect.augmentation import augmentation_sheet
    from ean_transfer.engine.inference import write_picture

    cfg = read_config(arguments)
    write_picture(arguments.out, augmentation_sheet(cfg, arguments.samples, arguments.seed))
    print(f"wrote {arguments.out}", file=sys.stderr)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The data set's arguments that were typed; a VALUE is a number, true, false or text."""
    named = {"part": arguments.part, "split": arguments.split}
    options: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    for pair in arguments.option:
        key, _, text = pair.partition("=")
        if key in options:
            raise ConfigError(f"{key} is given twice")
        try:
            options[key] = json.loads(text)
        except ValueError:
            options[key] = text
    return options
