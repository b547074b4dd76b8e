"""Statistics of paired differences, against simulated studies whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ean_transfer.study.paired import (
    POWER,
    Region,
    answers,
    bca_interval,
    seeds_needed,
    t_interval,
)

STUDIES = 2_000
BETTER, EQUAL = Region(low=0.0), Region(low=-0.5, high=0.5)


def share(answer: str, mean: float, seeds: int, region: Region, studies: int = STUDIES) -> float:
    """Percent of simulated studies with an answer; the differences' spread is 1."""
    generator = np.random.default_rng([seeds, int(1000 * abs(mean))])
    differences = generator.normal(mean, 1.0, (studies, seeds))
    return 100.0 * float(np.mean(answers(differences, region) == answer))


@pytest.mark.parametrize("seeds", [2, 3, 6, 20])
def test_a_claim_on_its_bound_is_accepted_and_refused_in_5_percent_of_studies(seeds: int) -> None:
    assert share("holds", 0.0, seeds, BETTER) == pytest.approx(5.0, abs=1.5)
    assert share("does not hold", 0.0, seeds, BETTER) == pytest.approx(5.0, abs=1.5)


def test_equivalence_on_its_bound_holds_in_5_percent_of_studies() -> None:
    for mean in (-0.5, 0.5):
        assert share("holds", mean, 40, EQUAL) == pytest.approx(5.0, abs=1.5)
    for seeds in (2, 3, 6):  # with few seeds one of the two tests fails even more often
        assert share("holds", 0.5, seeds, EQUAL) < 5.0


@pytest.mark.parametrize("seeds", [2, 3, 20])
def test_two_bounds_do_not_refuse_a_true_claim_more_often(seeds: int) -> None:
    # Beside such a spread the two bounds are as one, and either may be exceeded by chance.
    tight = Region(low=-0.01, high=0.01)
    assert share("does not hold", 0.0, seeds, tight) == pytest.approx(5.0, abs=1.5)
    assert share("holds", 0.0, seeds, tight) == 0.0


@pytest.mark.parametrize(
    ("mean", "region", "answer"),
    [
        (0.8, BETTER, "holds"),
        (-0.6, BETTER, "does not hold"),
        (0.5, Region(low=1.0), "does not hold"),
        (0.0, EQUAL, "holds"),
        (0.1, EQUAL, "holds"),
        (1.1, EQUAL, "does not hold"),
    ],
)
def test_the_seeds_advised_decide_in_four_of_five_studies(
    mean: float, region: Region, answer: str
) -> None:
    seeds = seeds_needed(mean, 1.0, region)
    assert seeds is not None
    assert 100.0 * POWER - 2.5 < share(answer, mean, seeds, region) < 90.0
    assert seeds_needed(10.0 * mean, 10.0, Region(*(10.0 * b for b in region))) == seeds
    assert share(answer, mean, seeds - 2, region) < 100.0 * POWER


def test_a_mean_on_the_bound_is_never_decided() -> None:
    assert seeds_needed(0.0, 1.0, BETTER) is None
    assert seeds_needed(0.5, 1.0, EQUAL) is None
    assert seeds_needed(100.0, 0.01, BETTER) == 2


@pytest.mark.parametrize(
    "differences",
    [[1.0], [math.nan, 1.0, 2.0], [math.inf, 1.0, 2.0], [0.0] * 6, [0.3, 0.1 + 0.2, 0.3]],
)
def test_without_a_spread_or_a_number_nothing_is_decided(differences: list[float]) -> None:
    assert answers(np.array(differences), BETTER).item() == "not decided"
    assert answers(np.array(differences), EQUAL).item() == "not decided"


def test_the_interval_s_ends_are_the_tests() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1.0, 6)
    low, high = t_interval(differences)
    assert answers(differences, Region(low=low - 1e-6)).item() == "holds"
    assert answers(differences, Region(low=low + 1e-6)).item() == "not decided"
    assert answers(differences, Region(low=high + 1e-6)).item() == "does not hold"
    assert answers(differences, Region(low - 1e-6, high + 1e-6)).item() == "holds"
    assert answers(differences, Region(low - 1e-6, high - 1e-6)).item() == "not decided"


def test_the_bootstrap_is_too_sure_with_few_seeds_and_right_with_many() -> None:
    generator = np.random.default_rng(0)
    errors = {}
    for seeds in (3, 40):
        studies = generator.normal(size=(60, seeds))
        errors[seeds] = float(np.mean([bca_interval(study).low > 0.0 for study in studies]))
    assert errors[3] > 0.1 > errors[40]
    assert bca_interval(studies[0]) == bca_interval(studies[0])
