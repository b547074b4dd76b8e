"""Gaussian-process posterior of the reward over masks, and the expected improvement it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import ndtr

Acquisition = Callable[[np.ndarray], np.ndarray]
"""How much each of the signs (n, m) is worth asking, (n,)."""

_EVIDENCE_ROWS = 256  # most observations that the hyper-parameters are fitted to
_PRIOR_OBSERVATIONS = 2.0  # of unit variance; they steady the scale when little is known
_CHUNK = 128  # masks whose covariances are computed at a time


@dataclass(frozen=True)
class Hyperparameters:
    """Variances relative to that of the main terms together, which is 1 as is the intercept's."""

    pair: float = 0.3
    noise: float = 0.01


_GRID: dict[str, tuple[float, ...]] = {
    "pair": (0.01, 0.1, 0.3, 1.0, 3.0),
    "noise": (1e-4, 1e-3, 1e-2, 1e-1, 0.5),
}


def prior_covariance(num_blocks: int, hyper: Hyperparameters) -> np.ndarray:
    """(m + 1,): covariance of two masks that differ in 0, 1, ... m bits.

    With bits -1 and +1, m - 2 h is the inner product of masks at Hamming distance h, and the sum
    of the products of their pairs of bits is ((m - 2 h)^2 - m) / 2.
    """
    m = num_blocks
    product = m - 2.0 * np.arange(m + 1)
    pairs = (product**2 - m) / max(m * (m - 1), 1)
    return 1.0 + product / m + hyper.pair * pairs


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, k) int: number of different bits between the signs a (n, m) and b (k, m)."""
    # Small integers, which float32 holds exactly, in half the time.
    product = a.astype(np.float32) @ b.T.astype(np.float32)
    return ((a.shape[1] - product) * np.float32(0.5)).astype(np.intp)


class Posterior:
    """The Gaussian process of :class:`SurrogateStrategy`, given observations.

    Args:
        signs: Masks that were scored, (n, m), with -1 or +1 for each bit.
        rewards: Their rewards, (n,), in any unit.
    """

    def __init__(self, signs: np.ndarray, rewards: np.ndarray) -> None:
        self.signs = signs
        self.num_blocks = signs.shape[1]
        self.y = (rewards - rewards.mean()) / (rewards.std() or 1.0)
        self.hyper = self._fit()
        self.table = prior_covariance(self.num_blocks, self.hyper)
        distances = hamming(signs, signs)
        self.factor = self._factor(distances, self.hyper)
        self.weights = cho_solve((self.factor, True), self.y)
        self.scale = self._scale(self.y, self.weights)

    def _factor(self, distances: np.ndarray, hyper: Hyperparameters) -> np.ndarray:
        """(n, n): lower Cholesky factor of the observations' covariance."""
        covariance = prior_covariance(self.num_blocks, hyper)[distances]
        covariance[np.diag_indices_from(covariance)] += hyper.noise
        return cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)

    @staticmethod
    def _scale(y: np.ndarray, weights: np.ndarray) -> float:
        """The variance that all others are relative to, integrated over an inverse gamma prior."""
        return (_PRIOR_OBSERVATIONS + float(y @ weights)) / (_PRIOR_OBSERVATIONS + len(y))

    def _fit(self) -> Hyperparameters:
        """The hyper-parameters of the highest evidence, found one by one, twice around."""
        rows = np.unique(np.linspace(0, len(self.y) - 1, _EVIDENCE_ROWS).round().astype(int))
        y = self.y[rows]
        distances = hamming(self.signs[rows], self.signs[rows])

        def log_evidence(hyper: Hyperparameters) -> float:
            factor = self._factor(distances, hyper)
            scale = self._scale(y, cho_solve((factor, True), y))
            degrees = _PRIOR_OBSERVATIONS + len(y)
            return -0.5 * degrees * np.log(scale) - float(np.log(np.diag(factor)).sum())

        best = Hyperparameters()
        highest = log_evidence(best)
        for name in [*_GRID, *_GRID]:
            for value in _GRID[name]:
                if value == getattr(best, name):
                    continue
                candidate = replace(best, **{name: value})
                evidence = log_evidence(candidate)
                # The margin keeps rounding errors from deciding between equals.
                if evidence > highest + 1e-9:
                    best, highest = candidate, evidence
        return best

    def mean(self, signs: np.ndarray) -> np.ndarray:
        """(k,): expected standardised reward of each of the signs (k, m)."""
        mean = np.empty(len(signs))
        for start in range(0, len(signs), _CHUNK):  # chunks that stay in the cache
            rows = slice(start, start + _CHUNK)
            mean[rows] = self.table[hamming(signs[rows], self.signs)] @ self.weights
        return mean

    def explained(self, signs: np.ndarray) -> np.ndarray:
        """(n, k): columns whose inner products are the covariance that observations take away."""
        covariance = self.table[hamming(self.signs, signs)]
        return solve_triangular(
            self.factor, covariance, lower=True, overwrite_b=True, check_finite=False
        )


def log_expected_improvement(mean: np.ndarray, variance: np.ndarray, best: float) -> np.ndarray:
    """Logarithm of how much Gaussians are expected to exceed the best reward so far.

    Far below the best the improvement itself underflows; its logarithm still ranks the masks.
    """
    deviation = np.sqrt(np.maximum(variance, 1e-12))
    z = (mean - best) / deviation
    near = np.maximum(z, -6.0)
    density = np.exp(-0.5 * near**2) / np.sqrt(2.0 * np.pi)
    # Below -6 deviations the asymptotic form of the tail, which cancels no digits.
    tail = -0.5 * z**2 - 0.5 * np.log(2.0 * np.pi) - 2.0 * np.log(np.maximum(-z, 6.0))
    return np.log(deviation) + np.where(z > -6.0, np.log(density + near * ndtr(near)), tail)
