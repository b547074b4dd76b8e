"""The command ``dataset``: checks and changes a data set's folder; draws what a training sees."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from ean_transfer.cli import dataset_convert, dataset_depth
from ean_transfer.cli.output import print_json
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least, picture, read_config, read_options
from ean_transfer.errors import ConfigError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands, their arguments and the functions that run them."""
    parser.epilog = """examples:
  %(prog)s check shanghaitech data/shanghaitech --part B --split test
  %(prog)s check qnrf data/UCF-QNRF_ECCV18 --sheet qnrf.png
  %(prog)s check dots data/cells --data-option image_suffix=cell.png --json
  %(prog)s check segmentation data/camvid --split train --data-option ignore=11 --sheet camvid.png
  %(prog)s check classification data/cifar10 --split train
  %(prog)s augment configs/segmentation/toy.py --out augmented.png"""
    commands = parser.add_commands()

    check = commands.add_parser(
        "check",
        help="list everything that is wrong with a data set's folder",
        description="Exit code 0: no problems; 1: problems; 2: wrong usage, or no such folder.",
    )
    check.add_argument(
        "kind",
        metavar="KIND",
        help="segmentation (images/ and labels/), classification (a folder per class), counting "
        "(images and points.csv, also called points); its other formats: shanghaitech, qnrf, jhu, "
        "nwpu, dots, or a registered data set",
    )
    check.add_argument("data_root", metavar="DATA_ROOT", help="the data set's folder")
    check.add_argument(
        "--split",
        metavar="NAME",
        help="train, val or test, if there are several; or a list of images, splits/train.txt",
    )
    check.add_argument("--part", metavar="NAME", help="part of shanghaitech: A or B")
    check.add_shared(
        "--data-option",
        help="another argument of the data set, e.g. outside=clamp; may be repeated",
    )
    check.accept_old("--option", "--data-option")
    check.add_argument(
        "--sheet", type=picture, metavar="FILE.png", help="draw 16 of the images in one picture"
    )
    check.add_shared("--json")
    check.set_defaults(run=run_check)

    dataset_convert.add_command(commands)
    dataset_depth.add_command(commands)

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
    task = _task_of(arguments.kind)
    report = task.check(arguments.data_root, **options)
    if arguments.json:
        print_json(asdict(report) | {"problems": report.problems})
    else:
        print(task.text(report))
    if arguments.sheet and task.has_images(report):
        from ean_transfer.visualization.picture import write_picture

        write_picture(arguments.sheet, task.sheet(arguments.data_root, **options))
        print(f"wrote {arguments.sheet}", file=sys.stderr)
    return 1 if report.problems else 0


class _Task(NamedTuple):
    """How a folder is checked in one task.

    Attributes:
        check: Function from the folder and the options to the report.
        text: Function from the report to its text.
        sheet: Function from the folder and the options to the contact sheet.
        has_images: Whether a report has images for a sheet.
    """

    check: Callable[..., Any]
    text: Callable[[Any], str]
    sheet: Callable[..., Any]
    has_images: Callable[[Any], bool]


def _task_of(kind: str) -> _Task:
    if kind == "counting":  # as the other commands call the task
        kind = "points"
    if kind not in ("classification", "segmentation"):
        return _counting(kind)
    folder_report = import_module(f"ean_transfer.{kind}.folder_report")
    return _Task(
        folder_report.check_folder,
        folder_report.report_text,
        import_module(f"ean_transfer.{kind}.contact_sheet").contact_sheet,
        lambda report: report.facts.images > len(getattr(report, "images_without_labels", ())),
    )


def _counting(kind: str) -> _Task:
    from ean_transfer.crowd_counting.contact_sheet import contact_sheet
    from ean_transfer.crowd_counting.folder_report import check_dataset, report_text

    return _Task(
        partial(check_dataset, kind),
        report_text,
        partial(contact_sheet, kind),
        lambda report: report.images > 0,
    )


def run_augment(arguments: argparse.Namespace) -> None:
    """Draw augmented training samples."""
    from ean_transfer.analysis.inspect.augmentation import augmentation_sheet
    from ean_transfer.visualization.picture import write_picture

    cfg = read_config(arguments)
    write_picture(arguments.out, augmentation_sheet(cfg, arguments.samples, arguments.seed))
    print(f"wrote {arguments.out}", file=sys.stderr)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The data set's arguments that were typed; a VALUE is a number, true, false or text."""
    named = {"part": arguments.part, "split": arguments.split}
    given = {key: value for key, value in named.items() if value is not None}
    options = read_options(arguments.data_option)
    if twice := given.keys() & options.keys():
        raise ConfigError(f"{min(twice)} is given twice")
    return given | options
