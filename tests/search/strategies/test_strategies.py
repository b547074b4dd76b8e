"""Every strategy keeps the same promises, and each does what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ean_transfer.errors import ConfigError
from ean_transfer.search.state import load_state, save_state
from ean_transfer.search.strategies.base import build_strategy
from ean_transfer.search.strategies.evolution import EvolutionStrategy
from ean_transfer.search.strategies.greedy import GreedyStrategy
from ean_transfer.search.strategies.planned import (
    ExhaustiveStrategy,
    HeuristicStrategy,
    coarse_to_fine,
)
from ean_transfer.search.strategies.random import RandomStrategy
from ean_transfer.search.strategies.surrogate import SurrogateStrategy
from ean_transfer.ticket.mask import all_masks, bits_of
from tests.search.strategies.searching import ALL, Make, PairwiseReward, flat, run

every_strategy = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
# A policy asks for a mask again as often as it likes.
without_policy = pytest.mark.parametrize("name", sorted(set(ALL) - {"reinforce"}))


# -- every strategy ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Random", "Evolution", "Greedy", "Exhaustive", "Heuristic", "Surrogate", "Reinforce"]
)
def test_configs_name_strategies(name: str) -> None:
    strategy = build_strategy(dict(type=f"{name}Strategy"), (3, 3, 3), seed=1)
    assert strategy.num_blocks == 9 and strategy.seed == 1


@every_strategy
def test_same_seed_same_masks(make: Make) -> None:
    first, second = (run(make((3, 3, 3), 4), PairwiseReward(9), 20) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["random", "evolution", "surrogate", "reinforce"])
def test_another_seed_other_masks(name: str) -> None:
    first, second = (run(ALL[name]((9,), seed), PairwiseReward(9), 6) for seed in (0, 1))
    assert first != second


@every_strategy
@pytest.mark.parametrize("blocks", [(9,), (1, 2, 17)], ids=str)
@pytest.mark.parametrize("stop", [1, 7])
def test_goes_on_from_its_saved_state(
    make: Make, blocks: tuple[int, ...], stop: int, tmp_path: Path
) -> None:
    reward, steps = PairwiseReward(sum(blocks)), 14
    whole, stopped, resumed = (make(blocks, 0) for _ in range(3))
    expected = run(whole, reward, steps)
    run(stopped, reward, stop)
    file = tmp_path / "state.json"
    trace = {"trace_lines": 0, "trace_sha256": ""}
    state = {"step": stop, "settings": {}, "strategy": stopped.state_dict(), **trace}
    save_state(file, state)
    resumed.load_state_dict(load_state(file)["strategy"])
    assert run(resumed, reward, steps - stop) == expected[stop:]
    assert resumed.probabilities() == whole.probabilities()


@every_strategy
@pytest.mark.parametrize("blocks", [(1,), (2, 3), (5, 6, 7)], ids=str)
def test_masks_are_tuples_of_one_bool_per_block(make: Make, blocks: tuple[int, ...]) -> None:
    for mask in flat(run(make(blocks, 0), PairwiseReward(sum(blocks)), 12)):
        assert isinstance(mask, tuple) and len(mask) == sum(blocks)
        assert {type(bit) for bit in mask} == {bool}


@without_policy
@pytest.mark.parametrize("count", [1, 3, 100])
def test_exhausts_a_small_space_gracefully(name: str, count: int) -> None:
    steps = run(ALL[name]((1, 2), 0), PairwiseReward(3), 40, count)
    asked = set(flat(steps))
    assert len(asked) == 8 or (name == "heuristic" and steps[-1] == [])


@every_strategy
def test_asking_for_none_gives_none(make: Make) -> None:
    assert make((3,), 0).ask(0) == []


@without_policy
@pytest.mark.parametrize("num_blocks", [4, 16])
def test_no_mask_is_asked_twice_while_there_are_others(name: str, num_blocks: int) -> None:
    asked = flat(run(ALL[name]((num_blocks,), 2), PairwiseReward(num_blocks), 12, 3))
    assert len(set(asked)) == min(len(asked), 2**num_blocks)


@without_policy
def test_equal_rewards_still_bring_new_masks(name: str) -> None:
    strategy, asked = ALL[name]((2, 3), 0), []
    for _ in range(5):
        masks = strategy.ask(3)
        strategy.tell(masks, [1.0] * len(masks))
        asked += masks
    assert len(asked) == len(set(asked)) > 10


@pytest.mark.parametrize(
    ("strategy", "name", "value"),
    [
        (RandomStrategy, "probability", 0.0),
        (RandomStrategy, "luck", 1),
        (EvolutionStrategy, "population", 1),
        (EvolutionStrategy, "tournament", 17),
        (EvolutionStrategy, "crossover", 1.5),
        (EvolutionStrategy, "mutation", 0.0),
        (EvolutionStrategy, "mutation", 9.5),
        (GreedyStrategy, "direction", "up"),
        (HeuristicStrategy, "rules", ("every_l",)),
        (HeuristicStrategy, "rules", "every_k"),
        (HeuristicStrategy, "rules", ()),
        (SurrogateStrategy, "initial", 1),
    ],
)
def test_an_option_that_makes_no_sense_is_named(strategy: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^{strategy.__name__}: .*{name}"):
        strategy((3, 3, 3), 0, **{name: value})


# -- random --------------------------------------------------------------------------------------


def test_random_masks_have_the_asked_probability() -> None:
    masks = RandomStrategy((40,), 0, probability=0.2).ask(200)
    assert np.mean(masks) == pytest.approx(0.2, abs=0.02)


# -- evolution -----------------------------------------------------------------------------------


def test_evolution_beats_random_search() -> None:
    gains = []
    for seed in range(5):
        reward = PairwiseReward(20, seed)
        best = [
            max(reward(flat(run(strategy, reward, 100))))
            for strategy in (EvolutionStrategy((20,), seed), RandomStrategy((20,), seed))
        ]
        gains.append(best[0] - best[1])
    assert np.mean(gains) > 0.5


def test_the_oldest_dies_whatever_its_reward() -> None:
    strategy = EvolutionStrategy((6,), 0, population=2, tournament=2)
    masks = all_masks(6)[:3]
    strategy.tell(masks, [9.0, 1.0, 2.0])
    assert [mask for mask, _ in strategy.alive] == masks[1:]


def test_a_child_is_one_flip_from_the_best_without_crossover() -> None:
    strategy = EvolutionStrategy((12,), 0, population=4, tournament=4, crossover=0, mutation=1e-9)
    masks = strategy.ask(4)
    strategy.tell(masks, [0.0, 3.0, 1.0, 2.0])
    for child in strategy.ask(5):
        assert sum(a != b for a, b in zip(child, masks[1], strict=True)) == 1


def test_evolution_repeats_only_when_all_was_asked() -> None:
    asked = flat(
        run(EvolutionStrategy((2, 2), 0, population=4, tournament=2), PairwiseReward(4), 10, 2)
    )
    assert len(asked) == 20 and len(set(asked[:16])) == 16


# -- greedy --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("backward", [["111", "011", "101", "110"], ["001", "100"], ["000"]]),
        ("forward", [["000", "100", "010", "001"], ["110", "101"], ["111"]]),
    ],
)
def test_greedy_takes_the_best_of_each_round_to_the_end(direction: str, expected: list) -> None:
    worth = np.array([3.0, 1.0, 2.0])
    strategy = GreedyStrategy((1, 2), direction=direction)
    rounds = []
    for _ in range(3):
        masks = strategy.ask(100)
        strategy.tell(masks, [float(worth @ mask) for mask in masks])
        rounds.append([bits_of(mask) for mask in masks])
    assert rounds == expected


def test_a_large_round_is_delivered_over_several_asks() -> None:
    reward = PairwiseReward(7)
    whole = run(GreedyStrategy((7,)), reward, 3, 100)
    parts = run(GreedyStrategy((7,)), reward, 3 + 2 + 2, 3)
    assert [len(masks) for masks in parts] == [3, 3, 2, 3, 3, 3, 2]
    assert flat(parts) == flat(whole)[: len(flat(parts))]


def test_after_the_path_greedy_climbs_from_the_best_mask_seen() -> None:
    reward = PairwiseReward(12, seed=1)
    strategy = GreedyStrategy((12,))
    path = flat(run(strategy, reward, 12, 100))
    assert len(path) == 12 * 13 // 2 + 1 and path[-1] == (False,) * 12
    best = max(path, key=lambda mask: reward([mask])[0])
    for mask in strategy.ask(100):
        assert sum(a != b for a, b in zip(mask, best, strict=True)) == 1


# -- exhaustive ----------------------------------------------------------------------------------


def test_exhaustive_asks_every_mask_in_binary_order() -> None:
    assert flat(run(ExhaustiveStrategy((1, 2)), PairwiseReward(3), 5)) == all_masks(3)
    assert ExhaustiveStrategy((20,)).ask(2)[1] == (*[False] * 19, True)


def test_exhaustive_refuses_more_than_twenty_blocks() -> None:
    with pytest.raises(ConfigError, match=r"20 blocks.*21"):
        ExhaustiveStrategy((10, 11))


# -- heuristics ----------------------------------------------------------------------------------


def schemes(*rules: str) -> list[str]:
    return [bits_of(mask) for mask in HeuristicStrategy((3, 3, 3), rules=rules).ask(1000)]


def test_every_k_has_every_offset() -> None:
    masks = schemes("every_k")
    expected = "111111111 101010101 010101010 100100100 010010010 001001001"
    assert " ".join(masks[:6]) == expected
    assert set(masks[-4:]) < {bits_of(mask) for mask in all_masks(9) if sum(mask) == 1}


def test_first_and_last_n_go_from_the_coarse_to_the_fine() -> None:
    assert schemes("first_n")[:3] == ["111111111", "000000000", "111100000"]
    assert sorted(schemes("first_n")) == sorted("1" * n + "0" * (9 - n) for n in range(10))
    assert sorted(schemes("last_n")) == sorted("0" * (9 - n) + "1" * n for n in range(10))
    assert coarse_to_fine(8) == [8, 0, 4, 2, 6, 1, 3, 5, 7]
    assert all(sorted(coarse_to_fine(n)) == list(range(n + 1)) for n in range(1, 100))


def test_per_stage_has_the_ends_of_stages_and_whole_stages() -> None:
    assert " ".join(schemes("per_stage")) == (
        "100100100 001001001 000000111 000111000 111000000 000111111 111000111 111111000 "
        "110110110 011011011 111111111 000000000"
    )


def test_many_stages_are_not_combined() -> None:
    blocks = (2, 2, 2, 2, 2)
    masks = HeuristicStrategy(blocks, rules=["per_stage"]).ask(1000)
    assert len(masks) == 2 + 5 + 2


def test_the_rules_take_turns_and_no_mask_comes_twice() -> None:
    rules = ("every_k", "first_n", "last_n", "per_stage")
    masks = schemes(*rules)
    assert masks[:4] == ["111111111", "100100100", "101010101", "000000000"]
    assert len(masks) == len(set(masks))
    assert set(masks) == {bits for rule in rules for bits in schemes(rule)}
