"""Tickets and options from what a person types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.parse import parse_options, read_ticket
from tests.ticket.strategies import patient, tickets


@patient
@given(tickets())
def test_bits_and_decimals_are_told_apart(ticket: Ticket) -> None:
    backbone = ticket.backbone.name
    assert read_ticket(str(ticket), backbone).mask == ticket.mask
    assert read_ticket("".join(ticket.stages), backbone).mask == ticket.mask
    assert read_ticket(str(ticket.to_decimal()), backbone).mask == ticket.mask


@patient
@given(
    st.text("01 ,-()[]9", max_size=30) | st.integers(3000, 5000).map(lambda digits: "7" * digits)
)
def test_any_numbers_end_in_a_ticket_or_in_one_line(text: str) -> None:
    try:
        assert read_ticket(text, "resnet50").num_blocks == 16
    except TicketError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("source", ["none", "full", "random", "1 0 1 0"])
def test_backbone_must_be_named_where_the_text_does_not(source: str) -> None:
    with pytest.raises(TicketError, match="give --backbone"):
        read_ticket(source)


def test_options_are_numbers_truth_values_or_text() -> None:
    options = parse_options(["r=16", "scale=0.5", "bias=true", "mode=hard"])
    assert options == {"r": 16, "scale": 0.5, "bias": True, "mode": "hard"}
    for bad in ("reduction", "=3", "reduction=", "groups=[1]", "groups=null"):
        with pytest.raises(TicketError, match="KEY=VALUE"):
            parse_options([bad])
    with pytest.raises(TicketError, match="option r is given twice"):
        parse_options(["r=16", "r=8"])
