"""Tickets from what a person types."""

from __future__ import annotations

import pytest

from ean_transfer.ticket import TicketError
from ean_transfer.ticket.parse import parse_options


def test_options_are_numbers_truth_values_or_text() -> None:
    options = parse_options(["r=16", "scale=0.5", "bias=true", "mode=hard"])
    assert options == {"r": 16, "scale": 0.5, "bias": True, "mode": "hard"}
    for bad in ("reduction", "=3", "reduction=", "groups=[1]", "groups=null"):
        with pytest.raises(TicketError, match="KEY=VALUE"):
            parse_options([bad])
