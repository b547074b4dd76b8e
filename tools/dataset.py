"""Check a counting data set's folder, and look at what a training will see.

examples:
  python tools/dataset.py check shanghaitech data/shanghaitech --part B --split test
  python tools/dataset.py check qnrf data/UCF-QNRF_ECCV18 --sheet qnrf.png
  python tools/dataset.py check dots data/cells --option image_suffix=cell.png --json
  python tools/dataset.py augment configs/segmentation/toy.py --out augmented.png

A KIND is shanghaitech, qnrf, jhu, nwpu, dots, or the name of a registered data set.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options, read_seed, require_png
from ean_transfer.errors import ConfigError


@friendly_errors()
def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    code: int = arguments.run(arguments)
    sys.stdout.flush()  # so that a reader who has left is noticed here
    return code


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="list all that is wrong with a folder",
        description="Exit code 0: no problems; 1: problems; 2: wrong usage, or no such folder.",
    )
    check.add_argument("kind", metavar="KIND", help="shanghaitech, qnrf, jhu, nwpu, dots, a name")
    check.add_argument("data_root", metavar="DATA_ROOT", help="the data set's folder")
    check.add_argument("--split", help="train, val or test, where the data set has it")
    check.add_argument("--part", help="of shanghaitech: A or B")
    check.add_argument(
        "--option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="another argument of the data set, e.g. outside=clamp; may be repeated",
    )
    check.add_argument("--sheet", metavar="FILE.png", help="write a picture of 16 of the images")
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    check.set_defaults(run=run_check)
    augment = commands.add_parser(
        "augment",
        help="draw augmented training samples of segmentation or counting with their labels",
        description="Run a config's training pipeline on images spread evenly over its training "
        "set, and draw what comes out, with label maps or points, in one picture.",
    )
    augment.add_argument("config", metavar="CONFIG", help="of segmentation or counting")
    augment.add_argument("--out", required=True, metavar="FILE.png", help="the picture")
    augment.add_argument("--samples", type=int, default=16, help="how many (default: 16)")
    augment.add_argument("--seed", type=read_seed, default=0, help="of all draws (default: 0)")
    add_cfg_options(augment)
    augment.set_defaults(run=run_augment)
    return parser


def run_check(arguments: argparse.Namespace) -> int:
    options = read_options(arguments)
    if arguments.sheet:
        require_png("--sheet", arguments.sheet)
    from ean_transfer.crowd_counting.folder_report import check_dataset, report_text

    report = check_dataset(arguments.kind, arguments.data_root, **options)
    if arguments.json:
        print(json.dumps(asdict(report) | {"problems": report.problems}, indent=2))
    else:
        print(report_text(report))
    if arguments.sheet and report.images:
        from PIL import Image

        from ean_transfer.crowd_counting.contact_sheet import contact_sheet

        sheet = contact_sheet(arguments.kind, arguments.data_root, **options)
        Image.fromarray(sheet).save(arguments.sheet)
        print(f"wrote {arguments.sheet}", file=sys.stderr)
    return 1 if report.problems else 0


def run_augment(arguments: argparse.Namespace) -> int:
    require_png("--out", arguments.out)
    from ean_transfer.analysis.inspect.augmentation import augmentation_sheet
    from ean_transfer.engine.config import load_config
    from ean_transfer.engine.inference import write_picture

    cfg = load_config(arguments.config, arguments.cfg_options)
    write_picture(Path(arguments.out), augmentation_sheet(cfg, arguments.samples, arguments.seed))
    print(f"wrote {arguments.out}", file=sys.stderr)
    return 0


def read_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The data set's arguments that were given; a VALUE is a number, true, false or text."""
    named = {"part": arguments.part, "split": arguments.split}
    options: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    for pair in arguments.option:
        key, _, text = pair.partition("=")
        if not (key and text):
            raise ConfigError(f"expected KEY=VALUE, e.g. outside=clamp, found {pair!r}")
        if key in options:
            raise ConfigError(f"{key} is given twice")
        try:
            options[key] = json.loads(text)
        except ValueError:
            options[key] = text
    return options


if __name__ == "__main__":
    sys.exit(main())
