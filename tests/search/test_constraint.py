"""A constraint reads what it writes, and refuses anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.errors import ConfigError
from ean_transfer.search.constraint import Constraint

positive = st.floats(1e-300, 1e300)
numbers = st.floats(-1e300, 1e300)
operators = st.sampled_from(["<=", ">="])
quantities = st.sampled_from(["accuracy", "loss", "sparsity", "params", "macs", "latency"])
references = st.sampled_from(["none", "full"])
constraints = st.one_of(
    st.builds(Constraint, quantities, operators, positive, references, numbers),
    st.builds(Constraint, quantities, operators, st.just(0.0), st.none(), numbers),
)


@given(constraints)
def test_a_constraint_reads_what_it_writes(constraint) -> None:
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("latency <= 12.5", 12.5),
        ("latency<=1.5*plain", 15.0),
        ("latency <= 1.5x none + .5", 15.5),
        ("  latency >= full", 30.0),
        ("latency >= full - 1e1 ", 20.0),
        ("latency >= -3", -3.0),
    ],
)
def test_the_right_side_is_a_number_or_relative_to_a_reference(text: str, limit: float) -> None:
    assert Constraint.parse(text).limit(none=10.0, full=30.0) == limit


@pytest.mark.parametrize(
    "text",
    ["", "latency", "latency < 3", "latency <= 3 ms", "latency <= half", "latency <= 2 plain"]
    + ["latency <= plain x 2", "latency <= plain + full", "energy <= 3", "latency <= 1e999"]
    + ["latency <= __import__('os')", "accuracy >= full - 0.3\nloss <= 1", 3],
)
def test_anything_else_is_refused_with_an_example(text) -> None:
    with pytest.raises(ConfigError, match="latency <= 1.08 x plain") as error:
        Constraint.parse(text)
    assert repr(text) in str(error.value)
