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
        prior: What each block is thought to be worth, (m,), in any unit: the prior mean of the main
            terms, times a factor that is unknown and as variable as these terms together.
    """

    def __init__(
        self, signs: np.ndarray, rewards: np.ndarray, prior: np.ndarray | None = None
    ) -> None:
        self.signs = signs
        self.num_blocks = signs.shape[1]
        self.unit = float(rewards.std())
        self.y = (rewards - rewards.mean()) / (self.unit or 1.0)
        norm = 0.0 if prior is None else float(np.linalg.norm(prior))
        self.direction = None if prior is None or norm == 0.0 else prior / norm
        self.hyper = self._fit()
        self.table = prior_covariance(self.num_blocks, self.hyper)
        self.factor = self._factor(hamming(signs, signs), self._along(signs, signs), self.hyper)
        self.weights = cho_solve((self.factor, True), self.y)
        self.scale = self._scale(self.y, self.weights)
        self.degrees = _PRIOR_OBSERVATIONS + len(self.y)  # of freedom, of Student's t

    def _along(self, a: np.ndarray, b: np.ndarray) -> np.ndarray | float:
        """(n, k): covariance of the signs a (n, m) and b (k, m) by the prior mean's factor."""
        return 0.0 if self.direction is None else np.outer(a @ self.direction, b @ self.direction)

    def _factor(
        self, distances: np.ndarray, along: np.ndarray | float, hyper: Hyperparameters
    ) -> np.ndarray:
        """(n, n): lower Cholesky factor of the observations' covariance."""
        covariance = prior_covariance(self.num_blocks, hyper)[distances] + along
        covariance[np.diag_indices_from(covariance)] += hyper.noise
        return cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)

    @staticmethod
    def _scale(y: np.ndarray, weights: np.ndarray) -> float:
        """The variance that all others are relative to, integrated over an inverse gamma prior."""
        return (_PRIOR_OBSERVATIONS + float(y @ weights)) / (_PRIOR_OBSERVATIONS + len(y))

    def _fit(self) -> Hyperparameters:
        """The hyper-parameters of the highest evidence, found one by one, twice around."""
        rows = np.unique(np.linspace(0, len(self.y) - 1, _EVIDENCE_ROWS).round().astype(int))
        y, signs = self.y[rows], self.signs[rows]
        distances, along = hamming(signs, signs), self._along(signs, signs)

        def log_evidence(hyper: Hyperparameters) -> float:
            factor = self._factor(distances, along, hyper)
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

    def covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(n, k): prior covariance of the signs a (n, m) and b (k, m), relative to the scale."""
        return self.table[hamming(a, b)] + self._along(a, b)

    def variance(self, signs: np.ndarray) -> np.ndarray:
        """(k,): prior variance of each of the signs (k, m), relative to the scale."""
        along = 0.0 if self.direction is None else np.square(signs @ self.direction)
        return np.full(len(signs), self.table[0]) + along

    def mean(self, signs: np.ndarray) -> np.ndarray:
        """(k,): expected standardised reward of each of the signs (k, m)."""
        mean = np.empty(len(signs))
        for start in range(0, len(signs), _CHUNK):  # chunks that stay in the cache
            rows = slice(start, start + _CHUNK)
            mean[rows] = self.covariance(signs[rows], self.signs) @ self.weights
        return mean

    def explained(self, signs: np.ndarray) -> np.ndarray:
        """(n, k): columns whose inner products are the covariance that observations take away."""
        return self._whitened(self.covariance(self.signs, signs))

    def _whitened(self, columns: np.ndarray) -> np.ndarray:
        """The columns, divided by the factor and overwritten."""
        return solve_triangular(
            self.factor, columns, lower=True, overwrite_b=True, check_finite=False
        )

    def main_terms(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (m,) and covariance (m, m), relative to the scale, of each block's main term.

        They are multiples of the standardised reward: the weights of the bits as -1 and +1.
        """
        prior = np.eye(self.num_blocks) / self.num_blocks
        if self.direction is not None:
            prior += np.outer(self.direction, self.direction)
        shared = self.signs @ prior  # (n, m), with the observations
        explained = self._whitened(shared.copy())
        return shared.T @ self.weights, prior - explained.T @ explained


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
