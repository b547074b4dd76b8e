"""The TICKET of ``ean ticket``'s command lines: what it may be, and reading it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.parse import read_ticket

TICKET = (
    "a ticket file or zoo:NAME; a checkpoint, exported file or work dir that carries one; "
    "with --backbone also bits, decimals, none, full, random"
)
"""Help text of a TICKET."""
BACKBONE = "backbone of bits, decimals, none, full, random, e.g. resnet50"
"""Help text of its ``--backbone``."""
_CARRIERS = (".onnx", ".pt2", ".pth", ".pt", ".ckpt")


def add_source_options(parser: ArgumentParser) -> None:
    """Declare the options that say more of a TICKET."""
    parser.add_shared("--backbone", help=BACKBONE)
    parser.add_argument(
        "--sparsity",
        type=float,
        metavar="SHARE",
        help="random: share of blocks without attention (default: 0.5)",
    )
    parser.add_shared("--seed", default=0, help="random: seed of the draw")


def ticket_from(source: str, backbone: str | None, **options: Any) -> Ticket:
    """The ticket that a text stands for, or that a file or folder carries."""
    path = Path(source)
    if os.path.isfile(path / "run" / "ticket.json"):  # of a project
        path = path / "run"
    # These take long bits, too, which Path's methods refuse as a name.
    if os.path.isdir(path) or (path.suffix in _CARRIERS and os.path.isfile(path)):
        from ean_transfer.export.tickets import carried_ticket  # with torch

        return carried_ticket(path)
    return read_ticket(source, backbone, **options)


def read_typed(arguments: argparse.Namespace, **fields: Any) -> Ticket:
    """The ticket of a command that has the options of :func:`add_source_options`.

    Raises:
        ConfigError: A sparsity is given for a ticket that is not drawn.
    """
    if arguments.sparsity is not None:
        if arguments.ticket != "random":
            raise ConfigError(
                f"--sparsity: expected the ticket random, found {arguments.ticket}, which has its "
                "own: leave --sparsity out"
            )
        fields["sparsity"] = arguments.sparsity
    return ticket_from(arguments.ticket, arguments.backbone, seed=arguments.seed, **fields)
