"""The ticket of whatever carries one: a checkpoint, an exported file or a work dir."""

from __future__ import annotations

import os
from pathlib import Path

from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.export.files import exported_ticket
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.files import ticket_of


def carried_ticket(path: str | os.PathLike[str]) -> Ticket:
    """The ticket that a file or a folder carries; never runs code from it.

    Args:
        path: An exported file; a checkpoint; or the work dir of a search or a study, for its
            ``ticket.json``, or of a training, for that of its last checkpoint.

    Raises:
        TicketError: It carries none, or something that is not a ticket.
        CheckpointError, ExportError: It cannot be read.
    """
    source = Path(path)
    if source.is_dir():
        if (source / "ticket.json").is_file():
            return Ticket.load(source / "ticket.json")
        source = Path(last_checkpoint(source))
    if source.suffix.lower() in (".onnx", ".pt2"):
        return exported_ticket(source)
    ticket = ticket_of(read_checkpoint(source))
    if ticket is None:
        raise TicketError(f"{source}: expected a checkpoint that carries a ticket, found none")
    return ticket
