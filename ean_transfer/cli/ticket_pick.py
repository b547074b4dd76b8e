"""The command ``ticket pick``: another ticket of a finished search."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote
from typing import Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import expanded, refuse_to_replace
from ean_transfer.ticket import Ticket, TicketError, display
from ean_transfer.ticket.mask import mask_of


def add_command(commands: Any) -> None:
    """Declare the command among those of ``ticket``."""
    pick: ArgumentParser = commands.add_parser(
        "pick", help="choose another ticket from a search's Pareto front"
    )
    pick.add_argument(
        "search_dir",
        type=expanded,
        metavar="DIR",
        help="the work dir of a finished search, or of a study or a project that has one",
    )
    pick.add_argument(
        "--rule",
        required=True,
        help="best, knee, or a constraint: 'accuracy >= full - 0.3' picks the cheapest, "
        "'connections <= 4' or 'latency <= 1.02 x plain' the best ticket that satisfies it",
    )
    pick.add_shared("--out", type=expanded, required=True, help="the ticket file to write")
    pick.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Choose another ticket from a search's Pareto front."""
    # With torch, which the other commands spare.
    from ean_transfer.search.cost.table import LATENCIES
    from ean_transfer.search.pareto import Pareto

    search = _search_folder(arguments.search_dir)
    refuse_to_replace([arguments.out], "another --out", _is_picked)
    searched = Ticket.load(search / "ticket.json")
    point = Pareto.load(search / "pareto.json").pick(arguments.rule)
    ticket = searched.with_mask(mask_of(point.mask)).replace(
        provenance={
            "picked_by": arguments.rule,
            "from_search_of": searched.id,
            **point.values,
            "search": searched.provenance,
        }
    )
    file = ticket.save(arguments.out)
    values = ", ".join(f"{name} {value:.6g}" for name, value in point.values.items())
    print(f"wrote {file}: {display.summary(ticket)}, held-out {values}")
    if any(name in arguments.rule for name in LATENCIES):
        command = f"ean ticket cost {quote(str(file))} --size N"
        print(f"its time is that of a table: '{command}' measures it")


def _search_folder(work_dir: Path) -> Path:
    """A search's folder: the one that was named, or that within a study's or a project's."""
    for place in (work_dir, work_dir / "search", work_dir / "run" / "search"):
        if (place / "pareto.json").is_file():
            return place
    raise ConfigError(
        f"{work_dir}: expected the work dir of a finished search, found no pareto.json in it"
    )


def _is_picked(file: Path) -> bool:
    try:
        return "picked_by" in Ticket.load(file).provenance
    except TicketError:
        return False
