"""A schedule that fits into the minutes that a user has."""

from __future__ import annotations

from math import floor

_ARMS = 3  # none, full and the ticket
_SEARCH_SHARE = 0.25  # of the time; the rest but a reserve is for the trainings
_RESERVE = 0.1  # tests, pictures, start-up
_FORWARD_SHARE = 1 / 3  # of an iteration: the rest is the backward pass and the optimiser
_SHARED = 0.5  # of a mask's forward pass that is computed anew, the rest is another mask's
MASKS_PER_STEP = 3
FEWEST_STEPS, MOST_STEPS = 8, 100
FEWEST_ITERATIONS = 50


def fit(
    minutes: float, seconds_per_iteration: float, batch: int, search_images: int, seeds: int = 1
) -> tuple[int, int]:
    """Iterations of each training, and steps of the search, for a whole study of a time.

    Args:
        minutes: Time of the supernet, the search and the trainings of none, full and the ticket.
        seconds_per_iteration: Seconds of one iteration of a training.
        batch: Images of an iteration.
        search_images: Images that masks are scored on.
        seeds: Seeds that each of the three is trained with.

    Returns:
        Iterations, not below 50, and steps, between 8 and 100.
    """
    seconds, trainings = 60 * minutes, _trainings(seeds)
    iterations = floor((1 - _SEARCH_SHARE - _RESERVE) * seconds / trainings / seconds_per_iteration)
    iterations = max(FEWEST_ITERATIONS, iterations - iterations % 10)
    left = (1 - _RESERVE) * seconds - trainings * iterations * seconds_per_iteration
    per_step = _seconds_per_step(seconds_per_iteration, batch, search_images)
    steps = floor(min(_SEARCH_SHARE * seconds, left) / per_step)
    return iterations, min(MOST_STEPS, max(FEWEST_STEPS, steps))


def minutes_of(
    iterations: int,
    steps: int,
    seconds_per_iteration: float,
    batch: int,
    search_images: int,
    seeds: int = 1,
) -> float:
    """Return the minutes that a schedule takes; the other arguments are those of :func:`fit`."""
    training = _trainings(seeds) * iterations * seconds_per_iteration
    searching = steps * _seconds_per_step(seconds_per_iteration, batch, search_images)
    return (training + searching) / (1 - _RESERVE) / 60


def _trainings(seeds: int) -> int:
    return 1 + _ARMS * seeds  # the supernet is trained once


def _seconds_per_step(seconds_per_iteration: float, batch: int, search_images: int) -> float:
    per_image = _FORWARD_SHARE * seconds_per_iteration / batch
    return MASKS_PER_STEP * search_images * per_image * _SHARED
