"""The time from the command to the first iteration."""

from __future__ import annotations

import pytest

from benchmarks import startup


@pytest.mark.slow
def test_each_program_reaches_its_first_iteration_and_counts_its_seconds() -> None:
    every = startup.measure(rounds=1)
    assert every.keys() == startup.CONFIGS.keys()
    for by_program in every.values():
        (torch_alone,), (bare,), (toolkit,) = by_program.values()
        assert 0 < torch_alone < min(bare, toolkit)
    assert len(startup.rows(every)) == 1 + len(every)
    with pytest.raises(RuntimeError, match="did not reach its first iteration: .*no such thing"):
        startup.seconds("raise ValueError('no such thing')", "classification/toy")
