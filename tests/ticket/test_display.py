"""Tickets as people read them."""

from __future__ import annotations

from ean_transfer.ticket import Ticket
from ean_transfer.ticket.display import ASCII_CELLS, diagram


def test_diagram_uses_colour_only_when_asked() -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    plain = diagram(ticket, ASCII_CELLS)
    assert plain.isascii() and "\x1b" not in plain
    assert "\x1b[" in diagram(ticket, ASCII_CELLS, color=True)
