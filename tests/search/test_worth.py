"""What connections are worth: laws of the Shapley values, and what a number alone explains."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ean_transfer.search.strategies.posterior import Posterior
from ean_transfer.search.worth import Worth, explained_by_number, worth_of_connections, worth_table
from ean_transfer.ticket.mask import all_masks, random_mask


def drawn_masks(blocks: int, count: int, seed: int) -> list[tuple[bool, ...]]:
    ends = [(False,) * blocks, (True,) * blocks]
    return list(dict.fromkeys([*ends, *(random_mask(blocks, seed, i) for i in range(count))]))


def predicted(masks, rewards, at) -> np.ndarray:
    """What the model expects of other masks, in the unit of the rewards."""
    y = np.array(rewards)
    posterior = Posterior(np.where(masks, 1.0, -1.0), y)
    return y.mean() + posterior.unit * posterior.mean(np.where(at, 1.0, -1.0))


@given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 10**6), st.floats(1e-3, 1e3))
@settings(max_examples=30)
def test_the_values_add_up_to_what_full_is_better_than_none(blocks, count, seed, unit) -> None:
    masks = drawn_masks(blocks, count, seed)
    rewards = unit * np.random.default_rng(seed).normal(size=len(masks))
    worths = worth_of_connections(masks, rewards)
    none, full = predicted(masks, rewards, [(False,) * blocks, (True,) * blocks])
    assert sum(one.value for one in worths) == pytest.approx(full - none, abs=1e-8 * unit)
    assert all(one.low <= one.value <= one.high for one in worths)


def test_they_are_the_mean_contributions_over_all_orders_of_connecting() -> None:
    masks = drawn_masks(5, 14, seed=1)
    rewards = np.random.default_rng(1).normal(size=len(masks))
    every = all_masks(5)
    value = dict(zip(every, predicted(masks, rewards, every), strict=True))
    expected = np.zeros(5)
    for order in itertools.permutations(range(5)):
        mask = (False,) * 5
        for block in order:
            more = (*mask[:block], True, *mask[block + 1 :])
            expected[block] += (value[more] - value[mask]) / math.factorial(5)
            mask = more
    values = [one.value for one in worth_of_connections(masks, rewards)]
    assert values == pytest.approx(expected, abs=1e-9)


def test_they_are_exact_on_an_additive_function() -> None:
    masks, weights = all_masks(7), np.array([3.0, -2.0, 0.0, 1.0, 0.5, 0.0, -0.25])
    worths = worth_of_connections(masks, np.array(masks) @ weights + 70.0)
    assert [one.value for one in worths] == pytest.approx(weights, abs=1e-3)
    assert max(one.high - one.low for one in worths) < 0.05


@pytest.mark.parametrize("pairs", [0.0, 0.3])
def test_nineteen_of_twenty_intervals_cover_the_true_value(pairs: float) -> None:
    blocks, inside, widths = 8, [], []
    first, second = np.triu_indices(blocks, 1)
    for seed in range(60):
        draws = np.random.default_rng(seed)
        masks = drawn_masks(blocks, 40, seed)
        signs = np.where(masks, 1.0, -1.0)
        terms = draws.normal(size=blocks)
        of_pairs = pairs * draws.normal(size=len(first)) * np.sqrt(blocks / len(first))
        noise = draws.normal(0.0, 0.5, len(masks))
        rewards = 40.0 + signs @ terms + (signs[:, first] * signs[:, second]) @ of_pairs + noise
        worths = worth_of_connections(masks, rewards)
        inside += [one.low <= 2.0 * t <= one.high for one, t in zip(worths, terms, strict=True)]
        widths += [one.high - one.low for one in worths]
    assert 0.9 < np.mean(inside) < 0.99
    assert np.mean(widths) < 1.5  # and not because they hold everything


def test_masks_without_a_finite_reward_are_left_out_and_many_are_thinned() -> None:
    masks = drawn_masks(6, 40, seed=2)
    rewards = np.array(masks) @ np.arange(6.0)
    broken = [*rewards, -np.inf, np.nan]
    assert worth_of_connections([*masks, masks[3], masks[4]], broken) == worth_of_connections(
        masks, rewards
    )
    many = all_masks(12)
    worths = worth_of_connections(many, np.array(many) @ np.arange(12.0))
    assert [one.value for one in worths] == pytest.approx(np.arange(12.0), abs=0.02)


def test_a_flat_landscape_is_worth_nothing() -> None:
    masks = all_masks(3)
    nothing = Worth(value=0.0, low=0.0, high=0.0)
    assert worth_of_connections(masks, [2.5] * 8) == [nothing] * 3
    assert explained_by_number(masks, [2.5] * 8) is None


def test_the_number_of_connections_explains_all_some_or_nothing() -> None:
    masks = np.array(all_masks(8))
    number = masks.sum(axis=1)
    noise = np.random.default_rng(0).normal(size=len(masks))
    assert explained_by_number(masks, np.sqrt(number)) == pytest.approx(1.0)
    assert explained_by_number(masks, noise) < 0.05
    half = explained_by_number(masks, number / number.std() + noise)
    assert half == pytest.approx(0.5, abs=0.1)
    assert explained_by_number(masks[[0, 1, 3, 7]], noise[:4]) is None  # 0, 1, 2, 3 connections
    chance = [
        explained_by_number(masks[::20], np.random.default_rng(seed).normal(size=13))
        for seed in range(50)
    ]
    assert np.mean(chance) < 0.2  # where the unadjusted ratio is about 0.4


def test_the_table_names_stages_and_blocks() -> None:
    worths = [Worth(value=1.5, low=1.0, high=2.0), Worth(value=-0.5, low=-1.0, high=0.25)]
    table = worth_table([*worths, worths[0]], (2, 1), "points").splitlines()
    assert table[0] == "| connection | is worth (points) | 95% interval |"
    assert table[3] == "| stage 1, block 2 | -0.500 | -1.000 to +0.250 |"
    assert table[4].startswith("| stage 2, block 1 | +1.500")
