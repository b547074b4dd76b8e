"""What rewards told so far say of all masks: a Gaussian process over bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import ndtr

Acquisition = Callable[[np.ndarray], np.ndarray]
"""Of signs (n, m), how much each is worth asking (n,)."""

_EVIDENCE_ROWS = 256  # observations that the hyper-parameters are fitted to
_PRIOR_OBSERVATIONS = 2.0  # of unit variance, that steady the scale when little is known
_PARITIES = 256  # random features of the residual kernel in a draw
_CHUNK = 128  # masks whose covariances are computed at a time


@dataclass(frozen=True)
class Hyperparameters:
    """Variances relative to that of the main terms together, which is 1 as is the intercept's."""

    pair: float = 0.3
    residual: float = 0.1
    length: float = 0.2  # of the residual kernel, in units of the number of blocks
    noise: float = 0.01


_GRID: dict[str, tuple[float, ...]] = {
    "pair": (0.01, 0.1, 0.3, 1.0, 3.0),
    "residual": (0.01, 0.1, 0.3, 1.0, 3.0),
    "length": (0.1, 0.2, 0.5),
    "noise": (1e-4, 1e-3, 1e-2, 1e-1, 0.5),
}


def prior_covariance(num_blocks: int, hyper: Hyperparameters) -> np.ndarray:
    """(m + 1,): covariance of two masks that differ in 0, 1, ... m bits.

    With bits -1 and +1, m - 2 h is the inner product of masks at Hamming distance h, and the sum
    of the products of their pairs of bits is ((m - 2 h)^2 - m) / 2.
    """
    m = num_blocks
    distance = np.arange(m + 1)
    product = m - 2.0 * distance
    pairs = (product**2 - m) / max(m * (m - 1), 1)
    residual = np.exp(-distance / (hyper.length * m))
    return 1.0 + product / m + hyper.pair * pairs + hyper.residual * residual


def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, k) int: bits that differ, between the signs a (n, m) and b (k, m)."""
    # Small integers, which float32 holds exactly, in half the time.
    product = a.astype(np.float32) @ b.T.astype(np.float32)
    return ((a.shape[1] - product) * np.float32(0.5)).astype(np.intp)


class Posterior:
    """The Gaussian process of :class:`SurrogateStrategy`, given observations.

    Args:
        signs: (n, m), -1 or +1.
        rewards: (n,), in any unit.
        residual: Whether the residual kernel is among the terms.
    """

    def __init__(self, signs: np.ndarray, rewards: np.ndarray, residual: bool) -> None:
        self.signs = signs
        self.num_blocks = signs.shape[1]
        self.y = (rewards - rewards.mean()) / (rewards.std() or 1.0)
        self.hyper = self._fit(residual)
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

    def _fit(self, residual: bool) -> Hyperparameters:
        """The hyper-parameters of the highest evidence, found one at a time, twice around."""
        rows = np.unique(np.linspace(0, len(self.y) - 1, _EVIDENCE_ROWS).round().astype(int))
        y = self.y[rows]
        distances = hamming(self.signs[rows], self.signs[rows])

        def evidence(hyper: Hyperparameters) -> float:
            factor = self._factor(distances, hyper)
            scale = self._scale(y, cho_solve((factor, True), y))
            degrees = _PRIOR_OBSERVATIONS + len(y)
            return -0.5 * degrees * np.log(scale) - float(np.log(np.diag(factor)).sum())

        best = Hyperparameters() if residual else Hyperparameters(residual=0.0)
        names = [name for name in _GRID if residual or name not in ("residual", "length")]
        best_evidence = evidence(best)
        for name in names * 2:
            for value in _GRID[name]:
                if value == getattr(best, name):
                    continue
                hyper = replace(best, **{name: value})
                if (found := evidence(hyper)) > best_evidence + 1e-9:
                    best, best_evidence = hyper, found
        return best

    def mean(self, signs: np.ndarray) -> np.ndarray:
        """(k,): expected standardised reward of each of the signs (k, m)."""
        return self._weighted(signs, self.weights)

    def _weighted(self, signs: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(k,): covariances of the signs (k, m) with the observations, summed with weights (n,)."""
        value = np.empty(len(signs))
        for start in range(0, len(signs), _CHUNK):  # of a size that stays in the cache
            rows = slice(start, start + _CHUNK)
            value[rows] = self.table[hamming(signs[rows], self.signs)] @ weights
        return value

    def explained(self, signs: np.ndarray) -> np.ndarray:
        """(n, k): columns whose inner products are the covariance that observations take away."""
        covariance = self.table[hamming(self.signs, signs)]
        return solve_triangular(
            self.factor, covariance, lower=True, overwrite_b=True, check_finite=False
        )

    def draw(self, generator: np.random.Generator) -> Acquisition:
        """A reward function from the posterior.

        Pathwise (Wilson et al. 2020, arXiv 2002.09309): a draw from the prior, plus what its error
        at the observations calls for. The residual kernel is a product over bits, so parities of
        random sets of blocks, each block in a set with probability (1 - rho) / 2 for the
        correlation rho at distance 1, have it as their mean product.
        """
        m, hyper = self.num_blocks, self.hyper
        intercept = generator.standard_normal()
        main = generator.standard_normal(m) / np.sqrt(m)
        pairs = np.triu(generator.standard_normal((m, m)), 1)
        pairs *= np.sqrt(2.0 * hyper.pair / max(m * (m - 1), 1))
        rho = np.exp(-1.0 / (hyper.length * m))
        sets = (generator.random((m, _PARITIES)) < (1.0 - rho) / 2.0).astype(np.float32)
        parities = generator.standard_normal(_PARITIES).astype(np.float32)
        parities *= np.float32(np.sqrt(hyper.residual / _PARITIES))
        noise = generator.standard_normal(len(self.y)) * np.sqrt(hyper.noise)

        def prior(signs: np.ndarray) -> np.ndarray:
            value = intercept + signs @ main + np.einsum("ij,ij->i", signs @ pairs, signs)
            if hyper.residual > 0.0:
                odd = ((signs < 0.0).astype(np.float32) @ sets).astype(np.int16) & 1
                value += parities.sum() - 2.0 * (odd.astype(np.float32) @ parities)
            return value * np.sqrt(self.scale)

        error = self.y - prior(self.signs) - noise * np.sqrt(self.scale)
        update = cho_solve((self.factor, True), error)
        return lambda signs: prior(signs) + self._weighted(signs, update)


def log_expected_improvement(mean: np.ndarray, variance: np.ndarray, best: float) -> np.ndarray:
    """Of Gaussians over the best so far; the logarithm, since far below the best it underflows."""
    deviation = np.sqrt(np.maximum(variance, 1e-12))
    z = (mean - best) / deviation
    near = np.maximum(z, -6.0)
    density = np.exp(-0.5 * near**2) / np.sqrt(2.0 * np.pi)
    tail = -0.5 * z**2 - 0.5 * np.log(2.0 * np.pi) - 2.0 * np.log(np.maximum(-z, 6.0))
    return np.log(deviation) + np.where(z > -6.0, np.log(density + near * ndtr(near)), tail)
