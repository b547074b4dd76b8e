"""Tickets as people read them."""

from __future__ import annotations

from ean_transfer.ticket import BackboneSpec, Ticket
from ean_transfer.ticket.card import picture
from ean_transfer.ticket.display import ASCII_CELLS, as_data, description, diagram


def test_diagram_uses_colour_only_when_asked() -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    plain = diagram(ticket, ASCII_CELLS)
    assert plain.isascii() and "\x1b" not in plain
    assert "\x1b[" in diagram(ticket, ASCII_CELLS, color=True)


def test_a_diagram_tells_attention_that_is_folded_from_the_rest() -> None:
    ticket = Ticket.from_bits("110 101 000", "resnet20_cifar", "SE").replace(
        asr=("100", "001", "100")
    )
    rows = diagram(ticket, ASCII_CELLS).splitlines()
    assert rows[0] == "stage 1   * # .   2 of 3, 1 to fold"
    assert rows[2] == "stage 3   + . .   0 of 3, 1 to fold"
    assert "+ with folded attention   * with both" in rows[-1]
    assert rows[-1].count("*") == 1 and "fold" not in diagram(ticket.folded(), ASCII_CELLS)
    colours = [picture(one).count("<rect") for one in (ticket, ticket.folded())]
    # Three small squares, and two more cells in the legend with a small square each.
    assert colours[0] - colours[1] == 3 + 4


def test_places_that_were_named_are_listed_with_their_bits() -> None:
    backbone = BackboneSpec(name="mine", blocks=(2, 1), places=("a.0", "a.1\x1b", "neck"))
    ticket = Ticket(backbone=backbone, attention="SE", stages=("01", "1"))
    assert description(ticket).endswith("places\n  0  a.0\n  1  a.1\\x1b\n  1  neck")
    assert "places" not in description(Ticket.full("resnet18"))


def test_a_ticket_with_connections_to_fold_has_no_decimals() -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    assert "decimal   (4, 11, 19, 3)" in description(ticket)
    assert as_data(ticket)["decimal"] == [4, 11, 19, 3]
    assert "decimal" not in description(ticket.with_asr())
    assert as_data(ticket.with_asr())["decimal"] is None
