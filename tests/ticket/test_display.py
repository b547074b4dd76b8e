"""Tickets as people read them."""

from __future__ import annotations

from ean_transfer.ticket import Ticket
from ean_transfer.ticket.display import ASCII_CELLS, as_data, description, diagram


def test_diagram_uses_colour_only_when_asked() -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    plain = diagram(ticket, ASCII_CELLS)
    assert plain.isascii() and "\x1b" not in plain
    assert "\x1b[" in diagram(ticket, ASCII_CELLS, color=True)


def test_a_ticket_with_connections_to_fold_has_no_decimals() -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    assert "decimal   (4, 11, 19, 3)" in description(ticket)
    assert as_data(ticket)["decimal"] == [4, 11, 19, 3]
    assert "decimal" not in description(ticket.with_asr())
    assert as_data(ticket.with_asr())["decimal"] is None
