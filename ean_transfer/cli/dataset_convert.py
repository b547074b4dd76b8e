"""The command ``dataset convert``: plain data out of the labels of other tools."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from ean_transfer.cli.output import print_json
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least, key_value, read_pairs
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import expanded

_TASKS = {
    "counting": ("crowd_counting.conversion", "convert_points", "taken as without objects"),
    "segmentation": ("segmentation.conversion", "convert_masks", "without a label file"),
    "classification": ("classification.conversion", "convert_classes", "in no class"),
}
"""Task -> module and function that convert, and what becomes of images without annotation."""
_OPTIONS = {
    **dict.fromkeys(("order", "relative", "keypoint", "dots"), "counting"),
    **dict.fromkeys(("table", "unknown", "ignore", "rest", "threshold"), "segmentation"),
    "copies": "classification",
}
"""Option -> the only task that has it."""


def add_command(commands: Any) -> None:
    """Declare the command among those of ``dataset``."""
    convert: ArgumentParser = commands.add_parser(
        "convert",
        help="turn labels of other tools into plain data, which the toolkit trains on",
        description="Reads annotations and writes one points.csv (counting), a folder of PNG label "
        "files and classes.txt (segmentation), or one folder per class (classification). Images "
        "stay where they are; in classification they are linked. The source is never changed.",
    )
    convert.explain(
        "Formats. counting: csv, json, labelme, coco, cvat, via, voc, npy, mat (ShanghaiTech, "
        "QNRF), dots (dot images). segmentation: labelme, coco, cvat, via, colours (colour or "
        "palette images, with --table), class-masks (one folder of binary masks per class). "
        "classification: csv. docs/converting.md describes them."
    )
    convert.epilog = """examples:
  %(prog)s counting points.csv --images photos
  %(prog)s counting cells --images cells --image-suffix cell.png --label-suffix dots.png
  %(prog)s segmentation coco.json --images mine/images --classes road tree --dry-run
  %(prog)s segmentation colour_masks --images mine/images --table colours.csv
  %(prog)s classification labels.csv --images photos --out-dir by_class"""
    convert.add_argument("task", metavar="TASK", choices=tuple(_TASKS), help=", ".join(_TASKS))
    convert.add_argument(
        "source",
        type=expanded,
        metavar="SOURCE",
        help="the annotations: a file, or a folder of files",
    )
    convert.add_argument(
        "--images",
        type=expanded,
        metavar="DIR",
        help="the folder of the images (default: SOURCE, or the folder that SOURCE lies in)",
    )
    convert.add_shared(
        "--out-dir",
        type=expanded,
        help="the folder of the result (default: in counting the folder of the images, in "
        "segmentation the one that it lies in)",
    )
    convert.add_argument("--from", dest="format", metavar="FORMAT", help="the source's format")
    convert.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="take these classes only; in segmentation in the order of their labels",
    )
    convert.add_argument(
        "--column",
        type=key_value,
        action="append",
        default=[],
        metavar="MEANING=NAME",
        help="column of a CSV file: image, x, y, left, top, right, bottom, width, height, label; "
        "in VIA label=ATTRIBUTE; may be repeated",
    )
    for name, what in (("image", "the images'"), ("label", "the annotation files'")):
        convert.add_argument(
            f"--{name}-suffix", nargs="+", metavar="END", help=f"ends of {what} names"
        )
    _add_points(convert)
    _add_masks(convert)
    convert.add_argument(
        "--copies",
        action="store_true",
        default=None,
        help="classification: copy the images instead of linking",
    )
    convert.add_argument(
        "--dry-run", action="store_true", help="read and check everything, and write nothing"
    )
    convert.add_shared("--json")
    convert.set_defaults(run=run_convert)


def _add_points(convert: ArgumentParser) -> None:
    convert.add_argument(
        "--order", choices=("xy", "yx"), help="counting: order of the coordinates (default: xy)"
    )
    convert.add_argument(
        "--relative",
        action="store_true",
        default=None,
        help="counting: coordinates are shares of the image's width and height",
    )
    convert.add_argument(
        "--keypoint",
        metavar="NAME",
        help="counting: COCO's keypoint that is an object's point (default: the mean of all)",
    )
    convert.add_argument(
        "--dots",
        choices=("any", "blobs"),
        help="counting: an object in a dot image is one pixel of any colour (any, the default) or "
        "one group of bright pixels (blobs)",
    )


def _add_masks(convert: ArgumentParser) -> None:
    convert.add_argument(
        "--table", metavar="FILE", help="segmentation: colours and their classes, CSV or JSON"
    )
    convert.add_argument(
        "--unknown",
        choices=("refuse", "ignore", "nearest"),
        help="segmentation: what to do with colours that are not in the table (default: refuse)",
    )
    convert.add_argument(
        "--ignore",
        nargs="+",
        metavar="NAME",
        help="segmentation: classes whose pixels become 255 (default: ignore void __ignore__)",
    )
    convert.add_argument(
        "--rest",
        choices=("background", "ignore"),
        help="segmentation: pixels in no object are of a class background (default) or ignored",
    )
    convert.add_argument(
        "--threshold",
        type=at_least(0),
        metavar="N",
        help="segmentation: values above N are the object in binary masks that have several",
    )


def run_convert(arguments: argparse.Namespace) -> None:
    """Convert a source and print what was done."""
    from ean_transfer.data.conversion.settings import Settings, images_and_target

    lists = ("classes", "ignore", "image_suffix", "label_suffix")
    typed = {name: getattr(arguments, name) for name in ("format", *lists, *_OPTIONS)}
    for name, task in _OPTIONS.items():
        if typed[name] is not None and task != arguments.task:
            raise ConfigError(f"--{name} is for {task}, found {arguments.task}: leave it out")
    given: dict[str, Any] = {
        name: tuple(value) if name in lists else value
        for name, value in typed.items()
        if value is not None
    }
    columns: dict[Any, str] = {**read_pairs(arguments.column)}  # whose keys Settings checks
    settings = Settings(columns=columns, **given)
    images, out_dir = images_and_target(
        arguments.task, arguments.source, arguments.images, arguments.out_dir
    )
    module, function, not_annotated = _TASKS[arguments.task]
    convert = getattr(import_module(f"ean_transfer.{module}"), function)
    done = convert(arguments.source, images, out_dir, settings, dry_run=arguments.dry_run)
    if arguments.json:
        print_json(done.as_dict())
    else:
        print(done.text(not_annotated))
