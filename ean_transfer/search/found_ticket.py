"""The result of ``find_ticket``: a ticket that can be applied to the user's own network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from ean_transfer.attachment.attach import attach
from ean_transfer.search.search_result import SearchResult
from ean_transfer.supernet.batches import as_the_model_takes
from ean_transfer.ticket import Ticket

_Model = TypeVar("_Model", bound=nn.Module)


class FoundTicket:
    """What :func:`~ean_transfer.find_ticket` returns.

    Attributes:
        ticket: The ticket.
        supernet: The trained supernet, a copy of the network with every connection.
        search: Everything else: finalists, front, verdict, trace.
    """

    def __init__(self, search: SearchResult, supernet: nn.Module, options: Mapping[str, Any]):
        self.search = search
        self.supernet = supernet
        self._options = options  # of attach()

    @property
    def ticket(self) -> Ticket:
        """The ticket, whose provenance tells of the search."""
        return self.search.ticket

    def apply(self, model: _Model) -> _Model:
        """Attach the ticket's attention to a network, in place, and return it.

        The attention is new and, by default, starts as the identity: fine-tune the network then.

        Args:
            model: A network like the one that was searched with, without attention; on any device.

        Raises:
            ConfigError, TicketError: It is another network, or has attention already.
        """
        # The example among them, for places that were named, goes to the network's device.
        options = as_the_model_takes(self._options, model)
        return attach(model, ticket=self.ticket, **options)

    def table(self) -> str:
        """Ticket, runner-up, none and full, with paired standard errors, as text."""
        return self.search.table()

    def figure(self, file: str | os.PathLike[str]) -> Path:
        """Draw the search into a picture file, and return its path."""
        return self.search.figure(Path(file))

    def __str__(self) -> str:
        verdict = self.search.verdict
        lines = [f"ticket {self.ticket}: {verdict.summary}", self.table()]
        return "\n".join([*lines, *verdict.advice])  # warnings were logged
