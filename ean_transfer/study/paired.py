"""Statistics of paired differences over seeds: what decides a study's claims. No torch.

A claim says that the true mean of the differences lies in a region, between two bounds, either of
which may be infinite. Student's t decides. The bootstrap (BCa) is shown beside it: it needs no
normal distribution but many values, and from three seeds it is wrong in 16 % of the studies where
5 % are promised (``docs/studies.md``).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

CHANCE = 0.05
"""Largest probability of "holds" for a claim that is false, and of "does not hold" for one that is
true."""
CONFIDENCE = 1.0 - 2.0 * CHANCE
"""Of the intervals shown: each end is a one-sided test."""
POWER = 0.8
"""Share of studies in which the number of seeds that is advised decides the claim."""
MOST_SEEDS = 1000
"""More seeds than these are never advised."""
_RESAMPLES = 9999

Answer = Literal["holds", "does not hold", "not decided"]


class Region(NamedTuple):
    """Where a claim says that the true mean lies: above ``low`` and below ``high``."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def bounds(self) -> int:
        """Number of finite bounds, 1 or 2."""
        return math.isfinite(self.low) + math.isfinite(self.high)

    def __contains__(self, mean: object) -> bool:
        return isinstance(mean, float) and self.low < mean < self.high


class Interval(NamedTuple):
    """A confidence interval of a mean."""

    low: float
    high: float


def p_outside(differences: np.ndarray, region: Region) -> np.ndarray:
    """Probability of differences that look so much as if the mean lay inside, though it does not.

    The two one-sided tests of equivalence (Schuirmann 1987), or one of them where the other bound
    is infinite.

    Args:
        differences: (..., n) differences of n seeds, n at least 2.
        region: The region.

    Returns:
        (...) p values: the larger of the two.
    """
    above, below = _p_values(differences, region)
    return np.maximum(above, below)


def p_inside(differences: np.ndarray, region: Region) -> np.ndarray:
    """Probability of differences that look so much as if the mean lay outside, though it does not.

    Args:
        differences: (..., n) differences of n seeds, n at least 2.
        region: The region.

    Returns:
        (...) p values: the smaller of those beyond each bound, times the number of bounds.
    """
    above, below = _p_values(differences, region)
    beyond = np.minimum(
        1.0 - above if math.isfinite(region.low) else 1.0,
        1.0 - below if math.isfinite(region.high) else 1.0,
    )
    return np.minimum(1.0, region.bounds * beyond)


def _p_values(differences: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray]:
    """(...) one-sided p values, small where the mean is surely above low and surely below high."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = differences.std(axis=-1, ddof=1) / math.sqrt(differences.shape[-1])
        mean, degrees = differences.mean(axis=-1), differences.shape[-1] - 1
        above = stats.t.sf((mean - region.low) / error, degrees)
        below = stats.t.sf((region.high - mean) / error, degrees)
    return above, below


def answers(differences: np.ndarray, region: Region) -> np.ndarray:
    """Decide whether the true mean lies in a region.

    Args:
        differences: (..., n) differences of n seeds.
        region: The region.

    Returns:
        (...) of :data:`Answer`. Where a difference is not finite, all are equal (their spread then
        tells nothing of chance) or there is only one, nothing is decided.
    """
    undecided = np.full(differences.shape[:-1], "not decided")
    if differences.shape[-1] < 2:
        return undecided
    with np.errstate(invalid="ignore"):
        known = np.isfinite(differences).all(axis=-1) & ~are_equal(differences)
        inside = known & (p_outside(differences, region) <= CHANCE)
        outside = known & (p_inside(differences, region) <= CHANCE)
    return np.where(inside, "holds", np.where(outside, "does not hold", undecided))


def are_equal(differences: np.ndarray) -> np.ndarray:
    """(...) whether all of (..., n) differences are equal, but for rounding."""
    size = np.abs(differences).max(axis=-1)
    return np.ptp(differences, axis=-1) <= 1e-9 * np.maximum(1.0, size)


def t_interval(differences: np.ndarray) -> Interval:
    """Student's interval of the mean of (n,) differences, n at least 2."""
    interval = stats.ttest_1samp(differences, 0.0).confidence_interval(CONFIDENCE)
    return Interval(float(interval.low), float(interval.high))


def bca_interval(differences: np.ndarray) -> Interval:
    """The bias-corrected and accelerated bootstrap interval (Efron 1987) of (n,) differences.

    The draws have a seed of their own: the same differences give the same interval.
    """
    interval = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="BCa",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Interval(float(interval.low), float(interval.high))


def seeds_needed(mean: float, spread: float, region: Region) -> int | None:
    """Number of seeds that decide a claim in four of five studies.

    Args:
        mean: True mean of the differences.
        spread: Their true standard deviation, above 0.
        region: The claim's region.

    Returns:
        ``None`` for more than :data:`MOST_SEEDS`.
    """
    seeds = np.arange(2, MOST_SEEDS + 1)
    margins = [mean - region.low, region.high - mean]
    if mean in region:  # both tests must succeed
        failures = sum(1.0 - _power(margin / spread, seeds, CHANCE) for margin in margins)
        enough = np.flatnonzero(1.0 - failures >= POWER)
    else:
        beyond = -min(margins)
        enough = np.flatnonzero(_power(beyond / spread, seeds, CHANCE / region.bounds) >= POWER)
    return int(seeds[enough[0]]) if len(enough) else None


def _power(effect: float, seeds: np.ndarray, chance: float) -> np.ndarray:
    """Probability that a one-sided t test succeeds, for each number of seeds.

    Args:
        effect: True distance of the mean from the bound, in standard deviations.
        seeds: (k,) numbers of seeds.
        chance: Probability that it succeeds without any distance.
    """
    if math.isinf(effect):
        return np.ones(len(seeds))
    shift = np.minimum(np.sqrt(seeds) * effect, 30.0)  # from where on the power is 1
    return np.asarray(stats.nct.sf(stats.t.isf(chance, seeds - 1), seeds - 1, shift))
