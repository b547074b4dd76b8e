"""The masks that a search may propose are those with the right number of connections."""

from __future__ import annotations

from collections import Counter
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.errors import ConfigError
from ean_transfer.search.strategies.space import Connections, MaskSpace, evenly_spread
from ean_transfer.ticket.mask import Mask, all_masks, bits_of, mask_of


@st.composite
def spaces(draw: st.DrawFn) -> MaskSpace:
    num_blocks = draw(st.integers(1, 8))
    low = draw(st.integers(0, num_blocks))
    return MaskSpace(num_blocks, (low, draw(st.integers(low, num_blocks))))


masks = st.lists(st.booleans(), min_size=8, max_size=8)


def members(space: MaskSpace) -> list[Mask]:
    return [mask for mask in all_masks(space.num_blocks) if space.low <= sum(mask) <= space.high]


@given(spaces())
def test_a_space_has_its_masks_in_binary_order(space: MaskSpace) -> None:
    listed = [space.mask(index) for index in range(space.size)]
    assert listed == members(space)
    assert [mask for mask in all_masks(space.num_blocks) if mask in space] == listed


@pytest.mark.parametrize(
    ("connections", "low", "high"), [(None, 0, 54), (7, 7, 7), ((0, 2), 0, 2), ((3, 54), 3, 54)]
)
def test_large_spaces_are_counted_exactly(connections: Connections, low: int, high: int) -> None:
    space = MaskSpace(54, connections)
    assert (space.low, space.high) == (low, high)
    assert space.size == sum(comb(54, count) for count in range(low, high + 1))
    assert bits_of(space.mask(space.size - 1)) == "1" * high + "0" * (54 - high)


@pytest.mark.parametrize("connections", [10, (3, 2), (0, 10)], ids=str)
def test_numbers_of_connections_that_no_mask_has_are_refused(connections: Connections) -> None:
    with pytest.raises(ConfigError, match=r"^connections: expected .* at most 9 \(blocks\)"):
        MaskSpace(9, connections)


@pytest.mark.parametrize("probability", [0.5, 0.2])
def test_draws_are_independent_bits_on_the_condition_of_their_number(probability: float) -> None:
    space, generator = MaskSpace(5, (1, 3)), np.random.default_rng(0)
    drawn = Counter(tuple(space.draw(generator, probability).tolist()) for _ in range(20_000))
    weights = np.array([probability ** sum(m) * (1 - probability) ** (5 - sum(m)) for m in
                        members(space)])  # fmt: skip
    shares = [drawn[mask] / drawn.total() for mask in members(space)]
    assert np.allclose(shares, weights / weights.sum(), atol=0.01)
    assert np.isclose(sum(shares), 1.0)


def test_a_rare_number_of_connections_is_drawn_at_once() -> None:
    space, generator = MaskSpace(100, 1), np.random.default_rng(0)
    assert all(space.draw(generator, 0.999).sum() == 1 for _ in range(50))


@given(spaces(), st.randoms(use_true_random=False))
def test_the_last_unseen_mask_is_found(space: MaskSpace, random) -> None:
    only = random.choice(members(space))
    seen = set(members(space)) - {only}
    generator = np.random.default_rng(0)
    assert space.unseen(generator, seen, probability=0.01) == only
    assert space.unseen(generator, seen | {only}) is None


@given(spaces(), masks)
def test_a_repair_changes_no_more_bits_than_it_must(space: MaskSpace, bits: list[bool]) -> None:
    before = np.array(bits[: space.num_blocks])
    after = space.repaired(before, np.random.default_rng(0))
    too_few, too_many = space.low - before.sum(), before.sum() - space.high
    assert tuple(after.tolist()) in space
    assert (before != after).sum() == max(too_few, too_many, 0)


@given(spaces(), st.data())
def test_neighbours_are_a_flip_or_a_moved_connection_away(space: MaskSpace, data) -> None:
    mask = data.draw(st.sampled_from(members(space)))
    near = space.neighbours(mask)

    def is_near(other: Mask) -> bool:
        changed = sum(a != b for a, b in zip(mask, other, strict=True))
        return changed == 1 or (changed == 2 and sum(mask) == sum(other) and not space.is_whole)

    assert sorted(near) == [other for other in members(space) if is_near(other)]


@given(spaces(), st.lists(st.floats(0.01, 0.99), min_size=8, max_size=8))
def test_the_most_probable_mask_of_a_space(space: MaskSpace, probabilities: list[float]) -> None:
    p = np.array(probabilities[: space.num_blocks])

    def probability(mask: Mask) -> float:
        return float(np.where(mask, p, 1 - p).prod())

    best = max(map(probability, members(space)))
    assert probability(space.most_probable(p.tolist())) == pytest.approx(best)


def test_connections_are_spread_evenly() -> None:
    assert evenly_spread(9, 3) == mask_of("001001001")
    assert evenly_spread(7, 3) == mask_of("0010101")
    assert all(sum(evenly_spread(m, k)) == k for m in range(1, 30) for k in range(m + 1))
