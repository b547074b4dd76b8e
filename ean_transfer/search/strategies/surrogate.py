"""The default strategy: a Bayesian linear model of blocks and pairs of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ean_transfer.io.checked import checked_arguments
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.posterior import (
    Acquisition,
    Posterior,
    hamming,
    log_expected_improvement,
)
from ean_transfer.search.strategies.random import unseen_mask
from ean_transfer.ticket.mask import Mask, bits_of, mask_of

_ENUMERATED_BLOCKS = 14  # up to which all masks are candidates
_CLIMBS = 8  # rounds of flips that improve the candidates of a large space
_WORK = 4e8  # most multiplications for the posterior variances of one set of candidates


def balanced_masks(generator: np.random.Generator, count: int, num_blocks: int) -> list[Mask]:
    """Random masks that together connect every block in half of them.

    Of 32 such sets, the one whose masks lie farthest apart.
    """
    best, best_spread = np.zeros((0, num_blocks), dtype=bool), -1.0
    for _ in range(32):
        half = np.arange(count)[:, None] % 2 == generator.integers(2, size=num_blocks)
        masks = generator.permuted(half, axis=0)
        signs = np.where(masks, 1.0, -1.0)
        distances = hamming(signs, signs) + num_blocks * np.eye(count)
        # The closest pair decides; the mean distance only breaks ties.
        spread = distances.min(initial=num_blocks) + distances.mean() / num_blocks if count else 0.0
        if spread > best_spread:
            best, best_spread = masks, spread
    return [tuple(mask) for mask in best.tolist()]


@STRATEGIES.register_module()
class SurrogateStrategy(Strategy):
    """Asks the masks that a Bayesian model expects most of; for few, expensive rewards.

    The reward is modelled as an intercept, one term per block and one per pair of blocks, all
    Gaussian, plus noise: linear in the bits as -1 and +1, like BOCS (Baptista and Poloczek 2018,
    arXiv 1806.08838). It is computed as a Gaussian process, whose kernel depends on the number of
    different bits alone, since n rewards are fewer than the 1 + m + m (m - 1) / 2 terms where it
    matters. The pairs' variance and the noise, relative to the single blocks' variance, are those
    that maximise the marginal likelihood of the rewards told so far, fitted at each ``ask``; the
    overall variance is integrated out. The next masks are those of the largest expected
    improvement over the best reward; of several masks asked at once, each takes the ones before it
    as told with their expected rewards.

    Up to 14 blocks every mask not yet told is a candidate; above that random ones, those near the
    best, and those that single flips of the most promising lead to. No mask is asked twice.

    No library does this for less: scikit-learn's BayesianRidge has one variance for all weights
    and no search over a discrete space, botorch brings gpytorch for what is a Cholesky factor
    here, and neither is a dependency.

    Args:
        blocks: Number of residual blocks in each stage, m in all.
        seed: Seed of every draw.
        initial: Number of masks asked before the model is, at least 2: none, full, and random ones
            in which every block is connected half the time.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        *,
        initial: Annotated[int, Field(ge=2)] = 8,
    ) -> None:
        super().__init__(blocks, seed)
        m = self.num_blocks
        self.generator = np.random.default_rng(seed)
        spread = balanced_masks(self.generator, initial - 2, m)
        self.design = list(dict.fromkeys([(False,) * m, (True,) * m, *spread]))
        self.rewards: dict[Mask, float] = {}
        self._all: np.ndarray | None = None

    # -- asking ------------------------------------------------------------------------------

    def ask(self, count: int) -> list[Mask]:
        count = min(count, 2**self.num_blocks - len(self.rewards))
        masks = [mask for mask in self.design if mask not in self.rewards][:count]
        if not masks and len(self.rewards) >= 2 and count > 0:
            masks = self._promising(count)
        seen = set(self.rewards).union(masks)
        while len(masks) < count:
            mask = unseen_mask(self.generator, self.num_blocks, seen)
            assert mask is not None  # count is at most what is left
            masks.append(mask)
            seen.add(mask)
        return masks

    def _promising(self, count: int) -> list[Mask]:
        """The model's proposals; fewer than ``count`` where its candidates run out."""
        told = np.where(np.array(list(self.rewards)), 1.0, -1.0)
        posterior = Posterior(told, np.array(list(self.rewards.values())))
        if self.num_blocks <= _ENUMERATED_BLOCKS:
            pool = self._every_mask()
        else:
            pool = self._near_and_far(told, posterior.y)
        seen = {row.tobytes() for row in told}
        pool = _unseen(pool, seen)
        if len(pool) == 0:
            return []
        chosen = self._most_improving(posterior, pool, seen, min(count, len(pool)))
        return [tuple(mask) for mask in (chosen > 0.0).tolist()]

    def _most_improving(
        self, posterior: Posterior, pool: np.ndarray, seen: set[bytes], count: int
    ) -> np.ndarray:
        """(count, m): the candidates of the largest expected improvement, one after the other."""
        variance, best = posterior.table[0], float(posterior.y.max())
        affordable = max(int(_WORK / len(posterior.y) ** 2), 10 * count)

        def score(signs: np.ndarray) -> np.ndarray:
            # The prior variance is the same for all masks, so one whose mean is too low cannot win,
            # and the costly posterior variance is computed only for the highest means.
            mean = posterior.mean(signs)
            value = np.full(len(signs), -np.inf)
            top = np.argsort(-mean, kind="stable")[:affordable]
            explained = np.square(posterior.explained(signs[top])).sum(axis=0)
            left = posterior.scale * (variance - explained)
            value[top] = log_expected_improvement(mean[top], left, best)
            return value

        signs, scores = self._climb(pool, seen, score)
        signs = signs[np.argsort(-scores, kind="stable")[: max(200, 10 * count)]]
        mean = posterior.mean(signs)
        explained = posterior.explained(signs)
        left = variance - np.square(explained).sum(axis=0)
        chosen: list[int] = []
        for _ in range(count):
            scores = log_expected_improvement(mean, posterior.scale * left, best)
            scores[chosen] = -np.inf
            pick = int(scores.argmax())
            chosen.append(pick)
            best = max(best, float(mean[pick]))
            # Told its own mean, the pick changes no mean, but takes variance away.
            shared = posterior.table[hamming(signs, signs[[pick]])][:, 0]
            shared = shared - explained.T @ explained[:, pick]
            row = shared / np.sqrt(max(left[pick], 0.0) + posterior.hyper.noise)
            explained = np.vstack([explained, row])
            left = left - row**2
        return signs[chosen]

    # -- candidates --------------------------------------------------------------------------

    def _every_mask(self) -> np.ndarray:
        if self._all is None:
            codes = np.arange(2**self.num_blocks)
            self._all = np.where(codes[:, None] >> np.arange(self.num_blocks) & 1, 1.0, -1.0)
        return self._all

    def _near_and_far(self, signs: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Signs (n, m): random ones of every density, and some 1 to 3 flips from the best told."""
        m, generator = self.num_blocks, self.generator
        far = np.where(generator.random((200, m)) < generator.random((200, 1)), 1.0, -1.0)
        best = signs[np.argsort(-y, kind="stable")[:10]]
        once = np.concatenate([_flips(one) for one in best[:3]])
        near = np.repeat(best, 20, axis=0)
        blocks = generator.permuted(np.tile(np.arange(m), (len(near), 1)), axis=1)[:, :3]
        blocks[::2, 2] = blocks[::2, 1]  # every other one is flipped twice, not thrice
        near[np.arange(len(near))[:, None], blocks] *= -1.0
        return np.concatenate([far, once, near])

    def _climb(
        self, pool: np.ndarray, seen: set[bytes], score: Acquisition
    ) -> tuple[np.ndarray, np.ndarray]:
        """The pool, with the flips of its best masks unless it holds every mask; their scores."""
        scores = score(pool)
        if self.num_blocks <= _ENUMERATED_BLOCKS:
            return pool, scores
        known = seen | {row.tobytes() for row in pool}
        for _ in range(_CLIMBS):
            top = np.argsort(-scores, kind="stable")[:3]
            flips = _unseen(np.concatenate([_flips(one) for one in pool[top]]), known)
            if len(flips) == 0:  # the neighbours of the best are all here
                break
            known |= {row.tobytes() for row in flips}
            pool = np.concatenate([pool, flips])
            scores = np.concatenate([scores, score(flips)])
        return pool, scores

    # -- telling and saving ------------------------------------------------------------------

    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        self.rewards.update(zip(masks, map(float, rewards), strict=True))

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.bit_generator.state,
            "design": [bits_of(mask) for mask in self.design],
            "rewards": {bits_of(mask): reward for mask, reward in self.rewards.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.design = [mask_of(bits) for bits in state["design"]]
        self.rewards = {mask_of(bits): reward for bits, reward in state["rewards"].items()}


def _flips(signs: np.ndarray) -> np.ndarray:
    """(m, m): the signs (m,) with each one turned."""
    return signs * (1.0 - 2.0 * np.eye(len(signs)))


def _unseen(signs: np.ndarray, seen: set[bytes]) -> np.ndarray:
    """The rows whose bytes are not among the seen, each once."""
    rows = {row.tobytes(): index for index, row in reversed(list(enumerate(signs)))}
    return signs[sorted(index for row, index in rows.items() if row not in seen)]
