"""Schedules that fit into a time."""

from __future__ import annotations

import pytest

from ean_transfer.project.minutes import (
    FEWEST_ITERATIONS,
    FEWEST_STEPS,
    MOST_STEPS,
    fit,
    minutes_of,
)


def test_the_time_of_a_schedule_is_that_of_its_parts() -> None:
    """Four trainings; half a forward pass per mask and image; a tenth for the rest."""
    trainings, search = 4 * 100 * 2.0, 3 * 20 * 60 * (2.0 / 8 / 3) / 2
    assert minutes_of(100, 20, 2.0, 8, 60) == pytest.approx((trainings + search) / 0.9 / 60)
    more = 6 * 100 * 2.0  # none, full and the ticket with two more seeds each
    expected = pytest.approx((trainings + more + search) / 0.9 / 60)
    assert minutes_of(100, 20, 2.0, 8, 60, seeds=3) == expected


@pytest.mark.parametrize("minutes", [20, 60, 600])
@pytest.mark.parametrize("seconds, seeds", [(0.1, 1), (0.1, 4), (0.5, 1)])
def test_a_schedule_takes_the_time_that_it_was_made_for(
    minutes: int, seconds: float, seeds: int
) -> None:
    case = dict(seconds_per_iteration=seconds, batch=8, search_images=60, seeds=seeds)
    iterations, steps = fit(minutes, **case)
    share = 0.65 if steps == MOST_STEPS else 0.9
    assert share * minutes < minutes_of(iterations, steps, **case) <= 1.01 * minutes


def test_a_search_gets_what_the_shortest_trainings_leave() -> None:
    case = dict(seconds_per_iteration=2.0, batch=4, search_images=5)
    iterations, steps = fit(8, **case)
    assert iterations == FEWEST_ITERATIONS and FEWEST_STEPS < steps < MOST_STEPS
    assert 7.9 < minutes_of(iterations, steps, **case) <= 8


def test_no_schedule_is_shorter_than_a_training_needs() -> None:
    assert fit(0.01, 1.0, 8, 1000) == (FEWEST_ITERATIONS, FEWEST_STEPS)
