"""The command ``dataset to-8-bits``: deep images, scaled alike."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ean_transfer.cli.output import print_json
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.io.files import expanded


def add_command(commands: Any) -> None:
    """Declare the command among those of ``dataset``."""
    deep: ArgumentParser = commands.add_parser(
        "to-8-bits",
        help="scale a folder of images of more than 8 bits per channel, all alike",
        description="Writes the images of a folder, and of the folders in it, with 8 bits per "
        "channel under the same names, as the toolkit reads them. Labels and tables are not "
        "copied.",
    )
    deep.epilog = """examples:
  %(prog)s raw/images --out-dir data/mine/images
  %(prog)s new_photos --out-dir scaled --limits 112 3907"""
    deep.add_argument("source", type=expanded, metavar="SOURCE", help="the folder of the images")
    deep.add_shared("--out-dir", type=expanded, required=True, help="the folder of the result")
    deep.add_argument(
        "--limits",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="values that become 0 and 255; needed to scale further images as the first ones "
        "(default: the lowest 0.1 %% quantile of an image, and the highest 99.9 %% quantile)",
    )
    deep.add_argument("--image-suffix", nargs="+", metavar="END", help="ends of the images' names")
    deep.add_shared("--json")
    deep.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Scale the images and print what was done."""
    from ean_transfer.data.conversion.depth import to_8_bits
    from ean_transfer.io.image_files import IMAGE_SUFFIXES

    source, target = arguments.source, arguments.out_dir
    limits = arguments.limits and tuple(arguments.limits)
    done = to_8_bits(source, target, arguments.image_suffix or IMAGE_SUFFIXES, limits)
    if arguments.json:
        print_json(asdict(done))
        return
    low, high = map(_digits, (done.low, done.high))
    if done.left_out:
        print(done.left_out)
    plural = "s" if done.images > 1 else ""
    print(
        f"{target}: {done.images} image{plural}; {low} became 0 and {high} became 255, and "
        f"{done.outside:.2%} of the values lie outside of that\n"
        f"further images of this kind: ean dataset to-8-bits SOURCE --out-dir DIR --limits {low} "
        f"{high}"
    )


def _digits(value: float) -> str:
    """Six digits without an exponent, which argparse takes for an option where it is negative."""
    import numpy as np

    return np.format_float_positional(value, precision=6, fractional=False, trim="-")
