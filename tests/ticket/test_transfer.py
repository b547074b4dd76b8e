"""Tickets moved to another depth of their family."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.transfer import carry, fit, nearest


def test_fit_keeps_relative_places() -> None:
    ticket = Ticket.from_bits("110 101 000", "resnet20_cifar")
    deeper = fit(ticket, "resnet32_cifar")
    # Places 0, 1/4, 1/2, 3/4, 1 of three blocks are 0, 0.5, 1, 1.5, 2: halves go up.
    assert str(deeper) == "11100 10011 00000"
    assert deeper.backbone.name == "resnet32_cifar"
    assert str(fit(deeper, "resnet20_cifar")) == str(ticket)
    assert str(fit(ticket, "resnet8_cifar")) == "1 1 0"
    published = fit(Ticket.load("zoo:ean-sge-resnet50"), "resnet101")
    assert published.stages[2] == "000" + "1" * 4 + "0" * 9 + "1" * 7
    assert published.attention == "SGE"


def test_provenance_says_where_it_came_from() -> None:
    ticket = Ticket.from_bits("110 101 000", "resnet20_cifar", provenance={"seed": 4})
    fitted = fit(ticket, "resnet56_cifar")
    assert fitted.provenance["rule"] == "nearest"
    origin = fitted.provenance["fitted_from"]
    assert origin["id"] == ticket.id and origin["provenance"] == {"seed": 4}
    assert fit(ticket, "resnet20_cifar") is ticket


@given(bits=st.text("01", min_size=1, max_size=30), length=st.integers(1, 60))
def test_nearest_gives_the_length_and_keeps_the_ends_and_the_constant(
    bits: str, length: int
) -> None:
    fitted = nearest(bits, length)
    assert len(fitted) == length and fitted[0] == bits[0]
    assert length == 1 or fitted[-1] == bits[-1]
    assert set(fitted) <= set(bits)
    assert nearest(bits, len(bits)) == bits


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet50", "for resnet20_cifar, expected another depth of it, found resnet50"),
        ("resnet33", "unknown backbone"),
    ],
)
def test_anything_else_is_refused(backbone: str, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        fit(Ticket.full("resnet20_cifar"), backbone)


def test_carry_changes_nothing_when_nothing_is_asked() -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    assert carry(ticket, attention="SGE", backbone="resnet50") is ticket


def test_carry_needs_the_same_blocks_per_stage() -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    assert carry(ticket, backbone="resnet34").mask == ticket.mask
    with pytest.raises(TicketError, match="resnet18 has 2-2-2-2 blocks"):
        carry(ticket, backbone="resnet18")
