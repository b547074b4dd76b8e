"""Hypothesis strategies: any valid ticket, any value that JSON can hold."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

from ean_transfer.ticket import Ticket
from ean_transfer.ticket.architectures import EXAMPLES, blocks_per_stage

# No deadline: a machine that is busy with something else must not fail a test.
patient = settings(deadline=None, max_examples=50)

NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | NUMBERS | st.text(max_size=10)
JSON_VALUES = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def tickets(draw: st.DrawFn) -> Ticket:
    """Any valid ticket of any known backbone."""
    backbone = draw(st.sampled_from(EXAMPLES))
    blocks = sum(blocks_per_stage(backbone) or ())
    return Ticket.from_mask(
        draw(st.lists(st.booleans(), min_size=blocks, max_size=blocks)),
        backbone,
        attention=draw(st.sampled_from(["SE", "SGE", "DIA"])),
        attention_options=draw(st.dictionaries(st.text(), SCALARS, max_size=2)),
        sharing=draw(st.sampled_from(["stage", "block"])),
        provenance=draw(st.dictionaries(st.text(), JSON_VALUES, max_size=3)),
    )
