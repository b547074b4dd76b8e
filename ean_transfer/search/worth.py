"""What each connection is worth: open this for the table that every search ends with.

The surrogate's model of the scored masks is an intercept, one term per block and one per pair of
blocks, in bits of -1 and +1. In such a model the Shapley value of a connection, its mean
contribution over all orders in which connections can be added to the plain network, is twice the
block's term: each pair is worth as much in none as in full, and is shared equally.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from ean_transfer.io.checked import Checked
from ean_transfer.io.tables import markdown
from ean_transfer.search.strategies.posterior import Posterior
from ean_transfer.ticket.mask import Mask

_MOST_MASKS = 2048  # that the model is fitted to, since its time grows with their cube
_INTERVAL = 0.95


class Worth(Checked):
    """What a connection is worth, in units of reward, with its 95 % interval."""

    value: float
    low: float
    high: float


def worth_of_connections(masks: Sequence[Mask], rewards: Sequence[float]) -> list[Worth]:
    """The Shapley value of each block's connection, in the model that fits the rewards best.

    The values add up to what the model says full is better than none. The intervals are those of
    the model, given these rewards: they know nothing of other images or supernets.

    Args:
        masks: Masks that were scored, at least one; of more than 2,048, as many random ones.
        rewards: Their rewards, in any unit. Masks whose reward is not finite are left out.

    Returns:
        One worth per block, in the unit of the rewards.
    """
    signs, y = np.where(np.array(masks), 1.0, -1.0), np.array(rewards, dtype=float)
    known = np.flatnonzero(np.isfinite(y))
    if len(known) > _MOST_MASKS:
        known = np.random.default_rng(0).choice(known, _MOST_MASKS, replace=False)
    posterior = Posterior(signs[known], y[known])
    mean, covariance = posterior.main_terms()
    # With the overall variance integrated out, the posterior is Student's t.
    errors = stdtrit(posterior.degrees, 0.5 + _INTERVAL / 2) * np.sqrt(
        posterior.scale * np.maximum(np.diag(covariance), 0.0)
    )
    values, errors = 2.0 * posterior.unit * mean, 2.0 * posterior.unit * errors
    return [
        Worth(value=float(value), low=float(value - error), high=float(value + error))
        for value, error in zip(values, errors, strict=True)
    ]


def explained_by_number(masks: Sequence[Mask], rewards: Sequence[float]) -> float | None:
    """The share of the rewards' variance that the number of connections alone explains.

    It is the correlation ratio, adjusted for the number of groups (Kelley 1935): means of masks of
    equal numbers of connections, compared with all masks. By chance it is 0 on average before what
    is negative becomes 0, and 0.02 after that for 64 random masks of nine blocks.

    Args:
        masks: Masks that were scored.
        rewards: Their rewards, in any unit. Masks whose reward is not finite are left out.

    Returns:
        A share in [0, 1]; ``None`` if all rewards are equal or no two masks have as many
        connections, so that nothing can be said.
    """
    y = np.array(rewards, dtype=float)
    known = np.isfinite(y)
    y, numbers = y[known], np.array(masks).sum(axis=1)[known]
    groups = [y[numbers == number] for number in np.unique(numbers)]
    left = len(y) - len(groups)
    if left == 0 or y.max(initial=-np.inf) <= y.min(initial=np.inf):
        return None
    within = sum(float(np.square(group - group.mean()).sum()) for group in groups) / left
    return max(0.0, 1.0 - within / float(y.var(ddof=1)))


def worth_table(worths: Sequence[Worth], blocks: Sequence[int], unit: str) -> str:
    """What each connection is worth, as a table in Markdown, all stages in order.

    Args:
        worths: One worth per block.
        blocks: Number of blocks in each stage.
        unit: Unit of the worths.
    """
    names = [
        f"stage {stage}, block {block}"
        for stage, length in enumerate(blocks, start=1)
        for block in range(1, length + 1)
    ]
    rows = [["connection", f"is worth ({unit})", f"{_INTERVAL:.0%} interval"]]
    for name, one in zip(names, worths, strict=True):
        rows.append([name, f"{one.value:+.3f}", f"{one.low:+.3f} to {one.high:+.3f}"])
    return markdown(rows)
