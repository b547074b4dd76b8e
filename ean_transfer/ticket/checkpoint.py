"""The ticket that a checkpoint carries."""

from __future__ import annotations

from typing import Any

from ean_transfer.ticket import Ticket, TicketError


def ticket_of(checkpoint: dict[str, Any]) -> Ticket | None:
    """The ticket a checkpoint carries, ``None`` if it carries none.

    Raises:
        TicketError: If what it carries is not a ticket.
    """
    data = checkpoint.get("meta", {}).get("ticket")
    if data is None:
        return None
    if not (isinstance(data, dict) and all(isinstance(name, str) for name in data)):
        raise TicketError(f"expected a ticket's fields, found {type(data).__name__}")
    return Ticket(**data)
