"""Reads tickets from the zoo and from checkpoints."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ean_transfer.io.checked import first_problem
from ean_transfer.ticket.model import ZOO_PREFIX, TicketError, zoo_names
from ean_transfer.ticket.ticket import Ticket


def zoo() -> dict[str, Ticket]:
    """The published tickets that come with the package, by name (without ``zoo:``)."""
    return {name: Ticket.load(ZOO_PREFIX + name) for name in zoo_names()}


def ticket_of(checkpoint: dict[str, Any]) -> Ticket | None:
    """The ticket that a checkpoint carries, ``None`` if it carries none.

    Raises:
        TicketError: What it carries is not a ticket.
    """
    data = checkpoint.get("meta", {}).get("ticket")
    try:
        return None if data is None else Ticket.model_validate(data)
    except ValidationError as error:
        raise TicketError(f"the checkpoint's ticket: {first_problem(error)}") from None
