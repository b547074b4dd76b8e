"""A schedule that fits into the minutes that a user has."""

from __future__ import annotations

from math import floor

TRAININGS = 4  # one supernet, and none, full and the ticket
_SEARCH_SHARE = 0.25  # of the time; the rest but a reserve is for the trainings
_RESERVE = 0.1  # tests, pictures, start-up
_FORWARD_SHARE = 1 / 3  # of an iteration: the rest is the backward pass and the optimiser
_SHARED = 0.5  # of a mask's forward pass that is computed anew, the rest is another mask's
MASKS_PER_STEP = 3
FEWEST_STEPS, MOST_STEPS = 8, 100
FEWEST_ITERATIONS = 50


def fit(
    minutes: float, seconds_per_iteration: float, batch: int, search_images: int
) -> tuple[int, int]:
    """Iterations of each training, and steps of the search, for a whole study of a time.

    Args:
        minutes: Time of the supernet, the search and the trainings of none, full and the ticket.
        seconds_per_iteration: Of a training.
        batch: Images of an iteration.
        search_images: Images that masks are scored on.

    Returns:
        Iterations, not below 50, and steps, between 8 and 100.
    """
    seconds = 60 * minutes
    iterations = floor((1 - _SEARCH_SHARE - _RESERVE) * seconds / TRAININGS / seconds_per_iteration)
    per_image = _FORWARD_SHARE * seconds_per_iteration / batch
    per_step = MASKS_PER_STEP * search_images * per_image * _SHARED
    steps = floor(_SEARCH_SHARE * seconds / per_step)
    return (
        max(FEWEST_ITERATIONS, iterations - iterations % 10),
        min(MOST_STEPS, max(FEWEST_STEPS, steps)),
    )
