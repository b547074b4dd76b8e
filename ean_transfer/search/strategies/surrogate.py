"""The default strategy: a Bayesian linear model of blocks and pairs of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.strategies.posterior import (
    Acquisition,
    Posterior,
    hamming,
    log_expected_improvement,
)
from ean_transfer.search.strategies.space import Connections, MaskSpace
from ean_transfer.ticket.mask import Mask, bits_of, mask_of

_ENUMERATED_MASKS = 2**14  # up to which all masks are candidates
_CLIMBS = 8  # rounds of flips that improve the candidates of a large space
_WORK = 4e8  # most multiplications for the posterior variances of one set of candidates


def scattered_masks(generator: np.random.Generator, count: int, space: MaskSpace) -> list[Mask]:
    """Random masks of a space: of 32 sets, the one whose masks lie farthest apart.

    In the whole space every set connects each block in half of its masks.
    """
    num_blocks = space.num_blocks
    best, best_spread = np.zeros((0, num_blocks), dtype=bool), -1.0
    for _ in range(32):
        if space.is_whole:
            half = np.arange(count)[:, None] % 2 == generator.integers(2, size=num_blocks)
            masks = generator.permuted(half, axis=0)
        else:
            drawn = [space.draw(generator) for _ in range(count)]
            masks = np.array(drawn).reshape(count, num_blocks)
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

    Up to 2^14 masks (14 blocks) every one not yet told is a candidate; above that random ones,
    those near the best, and those that single flips of the most promising lead to. No mask is asked
    twice.

    No library does this for less: scikit-learn's BayesianRidge has one variance for all weights
    and no search over a discrete space, botorch brings gpytorch for what is a Cholesky factor
    here, and neither is a dependency.

    Args:
        blocks: Number of residual blocks in each stage, m in all.
        seed: Seed of every draw.
        connections: How many blocks a mask may connect, see :class:`Strategy`. Candidates are then
            also made by moving connections.
        initial: Number of masks asked before the model is, at least 2: none, full, and random ones
            in which every block is connected half the time.
        prior: What each block's connection is thought to be worth, in any unit; for example
            :func:`~ean_transfer.supernet.importance.connection_importance`. The model then expects
            rewards along it, by a factor that the rewards decide.

    Raises:
        ConfigError: The prior has another length than there are blocks.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        connections: Connections = None,
        *,
        initial: Annotated[int, Field(ge=2)] = 8,
        prior: Sequence[Annotated[float, Field(allow_inf_nan=False)]] | None = None,
    ) -> None:
        super().__init__(blocks, seed, connections)
        m = self.num_blocks
        if prior is not None and len(prior) != m:
            raise ConfigError(
                f"SurrogateStrategy: expected a prior of {m} numbers, one per block, found "
                f"{len(prior)}"
            )
        self.prior = None if prior is None else np.array(prior, dtype=float)
        self.generator = np.random.default_rng(seed)
        ends = [mask for mask in ((False,) * m, (True,) * m) if mask in self.space]
        scattered = scattered_masks(self.generator, initial - len(ends), self.space)
        self.design = list(dict.fromkeys([*ends, *scattered]))
        self.rewards: dict[Mask, float] = {}
        self._all: np.ndarray | None = None

    # -- asking ------------------------------------------------------------------------------

    def ask(self, count: int) -> list[Mask]:
        count = min(count, self.space.size - len(self.rewards))
        masks = [mask for mask in self.design if mask not in self.rewards][:count]
        if not masks and len(self.rewards) >= 2 and count > 0:
            masks = self._promising(count)
        seen = set(self.rewards).union(masks)
        while len(masks) < count:
            mask = self.space.unseen(self.generator, seen)
            assert mask is not None  # count is at most what is left
            masks.append(mask)
            seen.add(mask)
        return masks

    def _promising(self, count: int) -> list[Mask]:
        """The model's proposals; fewer than ``count`` where its candidates run out."""
        told = np.where(np.array(list(self.rewards)), 1.0, -1.0)
        posterior = Posterior(told, np.array(list(self.rewards.values())), self.prior)
        if self.space.size <= _ENUMERATED_MASKS:
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
        best = float(posterior.y.max())
        affordable = max(int(_WORK / len(posterior.y) ** 2), 10 * count)

        def score(signs: np.ndarray) -> np.ndarray:
            # The prior variance is the same for all masks, or nearly, so one whose mean is too low
            # cannot win: the costly posterior variance is computed only for the highest means.
            mean = posterior.mean(signs)
            value = np.full(len(signs), -np.inf)
            top = np.argsort(-mean, kind="stable")[:affordable]
            explained = np.square(posterior.explained(signs[top])).sum(axis=0)
            left = posterior.scale * (posterior.variance(signs[top]) - explained)
            value[top] = log_expected_improvement(mean[top], left, best)
            return value

        signs, scores = self._climb(pool, seen, score)
        signs = signs[np.argsort(-scores, kind="stable")[: max(200, 10 * count)]]
        mean = posterior.mean(signs)
        explained = posterior.explained(signs)
        left = posterior.variance(signs) - np.square(explained).sum(axis=0)
        chosen: list[int] = []
        for _ in range(count):
            scores = log_expected_improvement(mean, posterior.scale * left, best)
            scores[chosen] = -np.inf
            pick = int(scores.argmax())
            chosen.append(pick)
            best = max(best, float(mean[pick]))
            # Told its own mean, the pick changes no mean, but takes variance away.
            shared = posterior.covariance(signs, signs[[pick]])[:, 0]
            shared = shared - explained.T @ explained[:, pick]
            row = shared / np.sqrt(max(left[pick], 0.0) + posterior.hyper.noise)
            explained = np.vstack([explained, row])
            left = left - row**2
        return signs[chosen]

    # -- candidates --------------------------------------------------------------------------

    def _every_mask(self) -> np.ndarray:
        if self._all is None:
            # Reversed, as the first block counts as the lowest bit where masks are equally good.
            masks = [self.space.mask(index)[::-1] for index in range(self.space.size)]
            self._all = np.where(masks, 1.0, -1.0)
        return self._all

    def _near_and_far(self, signs: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Signs (n, m): random ones of every density, and some 1 to 3 flips from the best told.

        In a space that is not whole, these are repaired: a flip becomes a moved connection.
        """
        m, generator = self.num_blocks, self.generator
        far = np.where(generator.random((200, m)) < generator.random((200, 1)), 1.0, -1.0)
        best = signs[np.argsort(-y, kind="stable")[:10]]
        once = np.concatenate([self._neighbours(one) for one in best[:3]])
        near = np.repeat(best, 20, axis=0)
        blocks = generator.permuted(np.tile(np.arange(m), (len(near), 1)), axis=1)[:, :3]
        blocks[::2, 2] = blocks[::2, 1]  # every other one is flipped twice, not thrice
        near[np.arange(len(near))[:, None], blocks] *= -1.0
        pool = np.concatenate([far, once, near])
        if self.space.is_whole:
            return pool
        return np.where([self.space.repaired(one, generator) for one in pool > 0.0], 1.0, -1.0)

    def _neighbours(self, signs: np.ndarray) -> np.ndarray:
        """(k, m): signs of the masks near that of the signs (m,)."""
        near = self.space.neighbours(tuple((signs > 0.0).tolist()))
        return np.where(near, 1.0, -1.0).reshape(-1, self.num_blocks)

    def _climb(
        self, pool: np.ndarray, seen: set[bytes], score: Acquisition
    ) -> tuple[np.ndarray, np.ndarray]:
        """The pool, with the flips of its best masks unless it holds every mask; their scores."""
        scores = score(pool)
        if self.space.size <= _ENUMERATED_MASKS:
            return pool, scores
        known = seen | {row.tobytes() for row in pool}
        for _ in range(_CLIMBS):
            top = np.argsort(-scores, kind="stable")[:3]
            flips = _unseen(np.concatenate([self._neighbours(one) for one in pool[top]]), known)
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


def _unseen(signs: np.ndarray, seen: set[bytes]) -> np.ndarray:
    """The rows whose bytes are not among the seen, each once."""
    rows = {row.tobytes(): index for index, row in reversed(list(enumerate(signs)))}
    return signs[sorted(index for row, index in rows.items() if row not in seen)]
