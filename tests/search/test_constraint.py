"""A constraint reads what it writes, and refuses anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.errors import ConfigError
from ean_transfer.search.constraint import Constraint
from tests.search.tables import toy_table

positive = st.floats(1e-300, 1e300)
numbers = st.floats(-1e300, 1e300)
operators = st.sampled_from(["<=", ">="])
quantities = st.sampled_from(["accuracy", "loss", "miou", "sparsity", "params", "latency"])
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
        ("latency <= 12 ms", 12.0),
        ("latency_compiled <= 12ms", 12.0),
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
    ["", "latency", "latency < 3", "latency <= 3 s", "params <= 3 ms", "latency <= 2 plain"]
    + ["latency <= plain x 2", "latency <= plain + full", "latency = 3", "latency <= 1e999"]
    + ["latency <= __import__('os')", "accuracy >= full - 0.3\nloss <= 1", 3],
)
def test_anything_else_is_refused_with_an_example(text) -> None:
    with pytest.raises(ConfigError, match="latency <= 1.08 x plain") as error:
        Constraint.parse(text)
    assert repr(text) in str(error.value)


# -- budgets -------------------------------------------------------------------------------------

TABLES = {
    "latency": toy_table("latency", (0.5, 0.5, 1.0, 0.0), plain=10.0),
    "params": toy_table("params", (100.0, 100.0, 400.0, 400.0)),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("connections = 3", [3]),
        ("connections <= 1", [0, 1]),
        ("connections >= 0.5 x full", [2, 3, 4]),
        ("connections = 5", []),
        ("sparsity >= 0.5", None),
    ],
)
def test_the_numbers_of_connections_that_a_budget_allows(text: str, expected) -> None:
    assert Constraint.parse(text).allowed_connections(4) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("latency <= 9 ms", ["latency is 10 without attention, 12 with all"]),
        ("latency >= 1.3 x plain", ["(= 13)"]),
        ("params <= 0.5 x plain - 1", ["params is 0"]),
        ("params <= 1.05 x plain", ["counts what attention adds", "params <= 0.5 x full"]),
        ("connections = 5", ["connections is 0 without attention, 4 with all"]),
        ("connections = 0.3 x full", ["(= 1.2)"]),
        ("sparsity >= 1.5", ["sparsity is 1"]),
    ],
)
def test_a_budget_that_no_mask_keeps_is_refused_with_what_there_is(text, words) -> None:
    with pytest.raises(ConfigError) as error:
        Constraint.parse(text).require_possible(TABLES, 4)
    assert all(word in str(error.value) for word in [f"no mask satisfies {text[:8]}", *words])


def test_a_share_of_what_the_plain_network_has_none_of_is_refused_without_a_table() -> None:
    for text in ("macs <= 1.05 x plain", "params <= 1.05 x plain"):
        with pytest.raises(ConfigError, match="counts what attention adds"):
            Constraint.parse(text).require_possible({}, 4)
    Constraint.parse("macs <= 0.5 x full").require_possible({}, 4)


@pytest.mark.parametrize(
    "text",
    ["latency <= 1.05 x plain", "params <= 20000", "connections = 4", "macs <= 0.5 x full"]
    + ["accuracy >= 200", "sparsity >= 1"],
)
def test_a_budget_that_some_mask_may_keep_is_not_refused(text: str) -> None:
    Constraint.parse(text).require_possible(TABLES, 4)
