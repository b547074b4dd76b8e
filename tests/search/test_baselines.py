"""Masks that need no search are other masks than none and full, of the numbers they promise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.search.baselines import baselines
from ean_transfer.ticket.mask import bits_of

BLOCKS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(BLOCKS, st.data(), st.integers(0, 99))
def test_they_are_different_masks_of_some_connections_and_repeat(blocks, data, seed) -> None:
    m = sum(blocks)
    connections = data.draw(st.integers(0, m))
    masks = baselines(blocks, connections, seed)
    assert masks == baselines(blocks, connections, seed)
    assert len(set(masks.values())) == len(masks)
    for name, mask in masks.items():
        assert len(mask) == m and 0 < sum(mask) < m
        if "random" in name or "as many" in name:
            assert sum(mask) == connections


def test_the_rules_of_thumb() -> None:
    masks = {name: bits_of(mask) for name, mask in baselines((3, 2), 3, seed=0).items()}
    assert masks["last two blocks"] == "00011"
    assert masks["as many at the end"] == "00111"
    assert masks["first half"] == "11000"
    assert masks["every other"] == "01010"
    assert {"random 1", "random 2", "random 3"} < set(masks)


def test_other_seeds_draw_other_random_masks() -> None:
    drawn = {baselines((8, 8), 8, seed)["random 1"] for seed in range(10)}
    assert len(drawn) == 10


def test_of_few_masks_there_are_few_baselines() -> None:
    assert baselines((1,), 1, seed=0) == {}
    assert set(baselines((4,), 0, seed=0)) == {"last two blocks", "first half", "every other"}
    # All four masks of one connection are taken.
    assert sum(sum(mask) == 1 for mask in baselines((4,), 1, seed=0).values()) == 4
