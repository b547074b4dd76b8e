"""Switches of the commands that work on several workers at once."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least

if TYPE_CHECKING:
    from ean_transfer.engine.workers import Workers


def add_workers(parser: ArgumentParser, what: str) -> Any:
    """Declare ``--workers``, ``--scheduler`` and ``--scheduler-file``.

    Args:
        parser: The command's parser.
        what: What is done at the same time, for the help.

    Returns:
        Their group, in which one excludes the others.
    """
    group = parser.add_argument_group(f"{what} at the same time, by Dask (ean-transfer[scale])")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--workers",
        type=at_least(1),
        metavar="N",
        help="start N workers on this machine, each with its share of the cores",
    )
    one.add_argument(
        "--scheduler", metavar="ADDRESS", help="use the workers of a running Dask scheduler"
    )
    one.add_argument(
        "--scheduler-file", metavar="FILE", help="the same, with the address in this file"
    )
    return one


def workers_of(arguments: argparse.Namespace) -> AbstractContextManager[Workers] | None:
    """The workers that were asked for, to be entered; ``None`` without any."""
    chosen = arguments.workers, arguments.scheduler, arguments.scheduler_file
    if chosen == (None, None, None):
        return None
    from ean_transfer.engine.workers import open_workers

    return open_workers(*chosen)
