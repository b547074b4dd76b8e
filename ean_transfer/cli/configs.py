"""The command ``configs``: lists the configs that come with the package. Imports no torch."""

from __future__ import annotations

import argparse

from ean_transfer.cli.output import print_json
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.engine.config_files import PACKAGE, installed_configs


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.epilog = f"""examples:
  %(prog)s camvid
  ean train segmentation/toy

In a config of your own:
  with read_base():
      from {PACKAGE}.segmentation.toy import *"""
    parser.add_argument(
        "word",
        nargs="?",
        default="",
        metavar="WORD",
        help="list only configs with this in their name or description",
    )
    parser.add_argument(
        "--bases", action="store_true", help="list the parts that configs are made of instead"
    )
    parser.add_shared("--json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List names and first lines; 1 if there are none, like grep."""
    lines = installed_configs(arguments.word, arguments.bases)
    if arguments.json:
        print_json(lines)
    else:
        width = max(map(len, lines), default=0)
        for name, line in lines.items():
            print(f"{name:{width}}  {line}".rstrip())
    return 0 if lines else 1
