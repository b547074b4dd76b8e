"""The surrogate finds good masks with few rewards, and its model is what it says."""

from __future__ import annotations

import numpy as np

from ean_transfer.search.strategies.evolution import EvolutionStrategy
from ean_transfer.search.strategies.posterior import Posterior, log_expected_improvement
from ean_transfer.search.strategies.random import RandomStrategy
from ean_transfer.search.strategies.space import MaskSpace
from ean_transfer.search.strategies.surrogate import SurrogateStrategy, scattered_masks
from ean_transfer.ticket.mask import all_masks
from tests.search.strategies.searching import PairwiseReward, flat, run


def test_the_surrogate_finds_the_best_of_512_masks_within_64() -> None:
    successes = 0
    for seed in range(5):
        reward = PairwiseReward(9, seed)
        best = max(reward(flat(run(SurrogateStrategy((3, 3, 3), seed), reward, 16, 4))))
        successes += best == max(reward(all_masks(9)))
    assert successes >= 4


def test_the_surrogate_beats_evolution_on_many_blocks() -> None:
    reward = PairwiseReward(54)
    best = [
        max(reward(flat(run(strategy, reward, 15, 4))))
        for strategy in (SurrogateStrategy((54,)), EvolutionStrategy((54,)))
    ]
    assert best[0] > best[1]


def test_the_surrogate_begins_with_none_and_full() -> None:
    first = SurrogateStrategy((5, 5), initial=4).ask(4)
    assert first[:2] == [(False,) * 10, (True,) * 10]
    assert len(set(first)) == 4


def test_scattered_masks_have_every_block_connected_half_the_time() -> None:
    masks = np.array(scattered_masks(np.random.default_rng(0), 8, MaskSpace(20)))
    assert (masks.sum(axis=0) == 4).all()


def signs_and_rewards(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    masks = RandomStrategy((m,), 3).ask(n)
    return np.where(masks, 1.0, -1.0), np.array(PairwiseReward(m)(masks))


def test_the_posterior_predicts_a_pairwise_function() -> None:
    signs, rewards = signs_and_rewards(300, 12)
    posterior = Posterior(signs[:200], rewards[:200])
    expected = (rewards[200:] - rewards[:200].mean()) / rewards[:200].std()
    assert np.abs(posterior.mean(signs[200:]) - expected).max() < 0.05


def test_the_kernel_is_that_of_the_weights() -> None:
    signs, rewards = signs_and_rewards(20, 6)
    posterior = Posterior(signs, rewards)
    first, second = np.triu_indices(6, 1)
    pairs = signs[:, first] * signs[:, second]
    expected = 1.0 + signs @ signs.T / 6 + posterior.hyper.pair * pairs @ pairs.T / 15
    distances = (signs[:, None] != signs[None]).sum(axis=2)
    assert np.allclose(posterior.table[distances], expected)


def test_log_expected_improvement_is_that_of_gaussians_and_survives_far_below() -> None:
    mean = np.array([-2.0, 0.0, 1.0])
    draws = np.random.default_rng(0).standard_normal((400_000, 1)) * 0.8 + mean
    expected = np.log(np.maximum(draws - 0.5, 0.0).mean(axis=0))
    computed = log_expected_improvement(mean, np.full(3, 0.64), 0.5)
    assert np.allclose(computed, expected, atol=0.15)
    far = log_expected_improvement(-np.arange(1.0, 100.0), np.ones(99), 0.0)
    assert np.isfinite(far).all() and (np.diff(far) < 0).all()
