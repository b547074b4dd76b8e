"""A stopped search resumes exactly, or is refused with the file and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.errors import CheckpointError
from ean_transfer.search.resume import SavedSearch
from ean_transfer.search.strategies import RandomStrategy
from ean_transfer.search.trace import TraceLine
from ean_transfer.ticket.mask import bits_of

STEPS = 3
VALUES = {"accuracy": 70.25, "loss": 1.125}
REMEDY = "delete search_state.json and resume again: trained supernets are kept"


@pytest.fixture
def saved(tmp_path: Path) -> SavedSearch:
    """A search of three steps of two masks."""
    strategy, search = RandomStrategy([3, 3], seed=0), SavedSearch(tmp_path, {"seed": 0})
    for step in range(STEPS):
        masks = strategy.ask(2)
        strategy.tell(masks, [0.5 * sum(mask) for mask in masks])
        lines = [TraceLine(step, bits_of(mask), VALUES, 0.5, 71.5, False, None) for mask in masks]
        search.save(step + 1, strategy, lines)
    return search


def restore(search: SavedSearch) -> tuple[int, list[TraceLine]] | None:
    again = SavedSearch(search.state_file.parent, {"seed": 0})
    return again.restore(RandomStrategy([3, 3], seed=0))


def test_what_was_saved_is_restored_and_goes_on_being_saved(saved: SavedSearch) -> None:
    steps, trace = restore(saved)
    assert steps == STEPS and [line.step for line in trace] == [0, 0, 1, 1, 2, 2]
    again = SavedSearch(saved.state_file.parent, {"seed": 0})
    strategy = RandomStrategy([3, 3], seed=0)
    again.restore(strategy)
    again.save(STEPS + 1, strategy, trace[:1])
    assert restore(saved) == (STEPS + 1, [*trace, trace[0]])


@pytest.mark.parametrize("name", ["trace.jsonl", "search_state.json"])
def test_cut_off_anywhere_it_is_refused_by_name_and_keeps_the_supernets(
    saved: SavedSearch, name: str
) -> None:
    file = saved.state_file.with_name(name)
    whole, expected = file.read_bytes(), restore(saved)
    for length in range(0, len(whole) - 1, 37):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=f"{name}: expected .*{REMEDY}"):
            restore(saved)
    file.write_bytes(whole[:-1])  # without the end of its last line
    assert restore(saved) == expected


@pytest.mark.parametrize("name", ["trace.jsonl", "search_state.json"])
def test_a_flipped_bit_is_refused_or_changes_nothing(saved: SavedSearch, name: str) -> None:
    file = saved.state_file.with_name(name)
    whole, expected, refused = bytearray(file.read_bytes()), restore(saved), 0
    for place in range(0, len(whole), 7):
        flipped = whole.copy()
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        try:
            assert restore(saved) == expected
        except CheckpointError as error:
            assert REMEDY in str(error)
            refused += 1
    assert refused > len(whole) / 7 * 0.9


def test_a_lost_line_in_the_middle_of_a_step_is_noticed(saved: SavedSearch) -> None:
    lines = saved.trace_file.read_text().splitlines(keepends=True)
    saved.trace_file.write_text("".join(lines[:2] + lines[3:]))  # every step is still there
    with pytest.raises(CheckpointError, match="expected the 6 lines .* found 5 whole ones"):
        restore(saved)


def test_lines_after_the_state_are_dropped(saved: SavedSearch) -> None:
    expected = restore(saved)
    saved.trace_file.write_text(saved.trace_file.read_text() + '{"step": 3, "mas')
    assert restore(saved) == expected
