"""What commands print and write: text for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from ean_transfer.io.files import write_atomically


def print_json(data: Any) -> None:
    """Print data as JSON on standard output."""
    print(json.dumps(data, indent=2))


def write_json(file: Path, data: Any) -> None:
    """Write data as a JSON file."""
    write_atomically(file, json.dumps(data, indent=1) + "\n")


@contextmanager
def text_for_people(arguments: argparse.Namespace) -> Iterator[None]:
    """Context manager around what a command prints while it computes.

    With ``--json`` the text goes to standard error, which leaves standard output to the JSON.
    """
    if arguments.json:
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def hand_over(arguments: argparse.Namespace, results: Any) -> None:
    """Write a command's results to ``--out`` and print them with ``--json``, if these are given."""
    if arguments.out:
        write_json(arguments.out, results)
    if arguments.json:
        print_json(results)
