"""Schedules that fit into a time."""

from __future__ import annotations

import pytest

from ean_transfer.project.minutes import FEWEST_ITERATIONS, FEWEST_STEPS, MOST_STEPS, fit


def estimate(
    iterations: int, steps: int, seconds_per_iteration: float, batch: int, search_images: int
) -> float:
    """Minutes: four trainings; half a forward pass per mask and image; a tenth for the rest."""
    forward = seconds_per_iteration / batch / 3
    search = 3 * steps * search_images * forward / 2
    return (4 * iterations * seconds_per_iteration + search) / 0.9 / 60


@pytest.mark.parametrize("minutes", [20, 60, 600])
@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_a_schedule_takes_the_time_that_it_was_made_for(minutes: int, seconds: float) -> None:
    case = dict(seconds_per_iteration=seconds, batch=8, search_images=60)
    iterations, steps = fit(minutes, **case)
    share = 0.65 if steps == MOST_STEPS else 0.9
    assert share * minutes < estimate(iterations, steps, **case) <= 1.01 * minutes


def test_no_schedule_is_shorter_than_a_training_needs() -> None:
    assert fit(0.01, 1.0, 8, 1000) == (FEWEST_ITERATIONS, FEWEST_STEPS)
