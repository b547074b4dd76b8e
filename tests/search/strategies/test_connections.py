"""Every strategy can be held to a number of connections, and searches well under it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from ean_transfer.errors import ConfigError
from ean_transfer.search.strategies.base import build_strategy
from ean_transfer.search.strategies.evolution import EvolutionStrategy
from ean_transfer.search.strategies.greedy import GreedyStrategy
from ean_transfer.search.strategies.planned import HeuristicStrategy
from ean_transfer.search.strategies.random import RandomStrategy
from ean_transfer.search.strategies.reinforce import ReinforceStrategy
from ean_transfer.search.strategies.space import Connections, MaskSpace
from ean_transfer.search.strategies.surrogate import SurrogateStrategy
from ean_transfer.ticket.mask import Mask, all_masks, bits_of
from tests.search.strategies.searching import ALL, PairwiseReward, flat, run

SPACE = {"exactly": 4, "a range": (2, 5), "at most": (0, 2), "at least": (7, 9)}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("connections", SPACE.values(), ids=SPACE)
@pytest.mark.parametrize("blocks", [(3, 3, 3), (9, 9, 9)], ids=str)
def test_only_masks_with_the_right_number_of_connections_are_asked(
    name: str, connections: Connections, blocks: tuple[int, ...]
) -> None:
    low, high = (connections, connections) if isinstance(connections, int) else connections
    if name == "exhaustive" and MaskSpace(sum(blocks), connections).size > 2**20:
        pytest.skip("nearly eight million masks, which it refuses")
    strategy = ALL[name](blocks, 0, connections=connections)
    asked = flat(run(strategy, PairwiseReward(sum(blocks)), 20))
    assert len(asked) >= (2 if name == "heuristic" else 36)
    assert all(low <= sum(mask) <= high for mask in asked)
    if name != "reinforce":
        assert len(set(asked)) == min(len(asked), strategy.space.size)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"reinforce", "heuristic"}))
@pytest.mark.parametrize("connections", [0, 2, 5, (1, 2)], ids=str)
def test_all_masks_of_a_small_space_are_asked(name: str, connections: Connections) -> None:
    strategy = ALL[name]((2, 3), 0, connections=connections)
    asked = set(flat(run(strategy, PairwiseReward(5), 12)))
    assert asked == {mask for mask in all_masks(5) if mask in strategy.space}


@pytest.mark.parametrize("name", ALL)
def test_every_number_is_as_no_number(name: str) -> None:
    reward = PairwiseReward(9)
    free, bound = (run(ALL[name]((9,), 3, connections=c), reward, 12) for c in (None, (0, 9)))
    assert free == bound


@pytest.mark.parametrize("name", ALL)
def test_a_search_of_exactly_k_goes_on_from_its_saved_state(name: str) -> None:
    whole, stopped, resumed = (ALL[name]((5, 6), 0, connections=4) for _ in range(3))
    reward = PairwiseReward(11)
    expected = run(whole, reward, 14)
    run(stopped, reward, 8)
    resumed.load_state_dict(stopped.state_dict())
    assert run(resumed, reward, 6) == expected[8:]


@pytest.mark.parametrize("connections", [10, (3, 2), -1, (1, 2, 3), "4", 2.5], ids=str)
def test_a_number_of_connections_that_makes_no_sense_is_named(connections: object) -> None:
    for name in ("Surrogate", "Reinforce", "Evolution", "Greedy", "Random", "Exhaustive"):
        with pytest.raises(ConfigError, match="connections"):
            build_strategy(dict(type=f"{name}Strategy", connections=connections), (9,), 0)


# -- each does what it is for --------------------------------------------------------------------


def best_of(reward: PairwiseReward, num_blocks: int, count: int) -> float:
    """The highest reward of all masks with ``count`` connections."""
    chosen = (set(blocks) for blocks in combinations(range(num_blocks), count))
    return max(reward([tuple(b in c for b in range(num_blocks)) for c in chosen]))


@pytest.mark.parametrize(
    ("num_blocks", "steps"), [(12, 12), pytest.param(20, 20, marks=pytest.mark.slow)]
)
def test_the_surrogate_finds_the_best_mask_of_exactly_four(num_blocks: int, steps: int) -> None:
    successes = 0
    for seed in range(4):
        reward = PairwiseReward(num_blocks, seed)
        strategy = SurrogateStrategy((num_blocks,), seed, connections=4)
        best = max(reward(flat(run(strategy, reward, steps, 4))))
        successes += best == best_of(reward, num_blocks, 4)
    assert successes >= 3


def test_the_surrogate_beats_random_masks_of_the_same_number_among_millions() -> None:
    reward = PairwiseReward(54)
    best = [
        max(reward(flat(run(strategy, reward, 15, 4))))
        for strategy in (
            SurrogateStrategy((54,), connections=20),
            RandomStrategy((54,), connections=20),
        )
    ]
    assert best[0] > best[1] + 3.0


def test_a_mutation_of_exactly_k_moves_a_connection() -> None:
    options = dict(population=4, tournament=4, crossover=0, mutation=1e-9)
    strategy = EvolutionStrategy((12,), 0, 5, **options)
    masks = strategy.ask(4)
    strategy.tell(masks, [0.0, 3.0, 1.0, 2.0])
    for child in strategy.ask(5):
        assert sum(a != b for a, b in zip(child, masks[1], strict=True)) == 2


def test_greedy_walks_from_one_end_of_the_range_to_the_other() -> None:
    worth = np.array([3.0, 1.0, 2.0, 4.0])
    for direction, expected in (
        ("backward", [["0111", "0011", "0101", "0110"], ["0001", "0010"]]),
        ("forward", [["0001", "1001", "0101", "0011"], ["1101", "1011"]]),
    ):
        strategy = GreedyStrategy((4,), 0, (1, 3), direction=direction)
        for masks in expected:
            assert [bits_of(mask) for mask in strategy.ask(100)] == masks
            strategy.tell(strategy.ask(100), [float(worth @ m) for m in strategy.ask(100)])


def test_greedy_climbs_to_the_best_of_exactly_k_by_moving_connections() -> None:
    worth = np.random.default_rng(0).standard_normal(9)
    strategy = GreedyStrategy((9,), connections=3)
    asked: list[Mask] = []
    for _ in range(5):
        masks = strategy.ask(100)
        strategy.tell(masks, [float(worth @ mask) for mask in masks])
        asked += masks
    best = max(asked, key=lambda mask: float(worth @ mask))
    assert set(np.flatnonzero(best)) == set(np.argsort(-worth)[:3])


def test_the_schemes_of_people_with_exactly_three_connections() -> None:
    masks = [bits_of(mask) for mask in HeuristicStrategy((3, 3, 3), connections=3).ask(100)]
    assert {"100100100", "111000000", "000000111", "001001001"} <= set(masks)


# -- the policy: exact conditional draws ---------------------------------------------------------


def trained_policy(connections: Connections) -> tuple[ReinforceStrategy, np.ndarray, np.ndarray]:
    """A policy that has learned something, its masks, and their probabilities by enumeration."""
    strategy = ReinforceStrategy((2, 4), 0, connections)
    run(strategy, PairwiseReward(6), 40)
    masks = np.array([mask for mask in all_masks(6) if mask in strategy.space])
    p = strategy._log_probabilities().detach().exp().numpy().astype(float)
    joint = np.where(masks, p[:, 1], p[:, 0]).prod(axis=1)
    return strategy, masks, joint / joint.sum()


policies = pytest.mark.parametrize("connections", [3, (1, 2), (0, 4), 6], ids=str)


@policies
def test_the_likelihood_is_that_of_the_policy_given_the_number(connections: Connections) -> None:
    strategy, masks, expected = trained_policy(connections)
    bits = torch.tensor(masks, dtype=torch.float32)
    likelihood = strategy._log_likelihood(bits).detach().exp()
    assert torch.allclose(likelihood.prod(dim=1), torch.tensor(expected).float(), atol=1e-5)
    marginals = (expected[:, None] * masks).sum(axis=0)
    assert np.allclose(strategy.probabilities(), marginals, atol=1e-5)


@policies
def test_the_likeliest_mask_is_the_one_that_is_drawn_most_often(connections: Connections) -> None:
    strategy, masks, expected = trained_policy(connections)
    chosen = (masks == strategy.likeliest()).all(axis=1)
    assert expected[chosen].item() == pytest.approx(expected.max())


def test_the_likeliest_mask_has_as_many_connections_as_the_policy_may_have() -> None:
    strategy = ReinforceStrategy((6,), 0, (0, 2))
    with torch.no_grad():
        strategy.policy[-1].bias[1::2] += 5.0  # all blocks are likely, if there were no limit
    assert sum(strategy.likeliest()) == 2
    assert max(strategy.probabilities()) < 0.5  # since two of six are connected


@policies
def test_the_gradient_of_the_likelihood_is_right(connections: Connections) -> None:
    strategy, masks, _ = trained_policy(connections)
    bits, weight = torch.tensor(masks, dtype=torch.float32), next(strategy.policy.parameters())
    joint = torch.where(bits.bool(), *strategy._log_probabilities().flip(1).unbind(1)).sum(dim=1)
    expected = joint[0] - joint.logsumexp(0)
    gradients = [
        torch.autograd.grad(value, strategy.policy[-1].bias, retain_graph=True)[0]
        for value in (strategy._log_likelihood(bits[:1]).sum(), expected)
    ]
    assert torch.allclose(*gradients, atol=1e-5) and torch.isfinite(weight).all()


@policies
def test_draws_follow_the_conditional_policy(connections: Connections) -> None:
    strategy, masks, expected = trained_policy(connections)
    drawn = strategy.ask(20_000)
    shares = [drawn.count(tuple(mask)) / len(drawn) for mask in masks.tolist()]
    assert np.isclose(sum(shares), 1.0) and np.allclose(shares, expected, atol=0.015)


@pytest.mark.slow
def test_the_policy_learns_which_four_blocks_are_worth_most() -> None:
    right = []
    for seed in range(3):
        weights = np.random.default_rng(seed).permutation(np.linspace(-1.0, 2.0, 12))
        strategy = ReinforceStrategy([12], seed, 4)
        for _ in range(200):
            masks = strategy.ask(3)
            strategy.tell(masks, [float(weights @ mask) for mask in masks])
        chosen = strategy.likeliest()
        right.append(len(set(np.flatnonzero(chosen)) & set(np.argsort(-weights)[:4])))
    assert np.mean(right) >= 3
