"""The papers' policy gradient learns, whatever the rewards' offset."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ean_transfer.search import ReinforceStrategy


def separable_reward(seed: int, blocks: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 1.0, blocks) * rng.choice([-1.0, 1.0], blocks)


def run(strategy: ReinforceStrategy, weights: np.ndarray, steps: int, offset: float = 0.0) -> list:
    asked = []
    for _ in range(steps):
        masks = strategy.ask(3)
        asked += masks
        strategy.tell(masks, [offset + float(np.dot(mask, weights)) for mask in masks])
    return asked


@pytest.mark.parametrize("seeds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_learns_the_right_bits_of_a_separable_reward(seeds: int) -> None:
    right = []
    for seed in range(seeds):
        weights = separable_reward(seed, 16)
        strategy = ReinforceStrategy([16], seed)
        run(strategy, weights, steps=300)
        right.append(np.mean((np.array(strategy.probabilities()) > 0.5) == (weights > 0)))
    assert np.mean(right) >= 0.95


def test_a_constant_offset_of_the_reward_changes_nothing() -> None:
    weights = separable_reward(0, 8)
    masks = [run(ReinforceStrategy([8], 0), weights, 30, offset) for offset in (0.0, 64.0)]
    assert masks[0] == masks[1]


def test_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    run(ReinforceStrategy([4], 0), separable_reward(0, 4), steps=12)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_curiosity_favours_the_newer_mask_and_is_centred() -> None:
    strategy = ReinforceStrategy([6], 0)
    known = torch.tensor([[1.0, 0, 1, 0, 1, 0]])
    for _ in range(300):
        strategy._curiosity(known)
    bonus = strategy._curiosity(torch.cat([known, 1 - known]))
    assert bonus[1] > bonus[0]
    assert abs(float(bonus.sum())) < 1e-6
