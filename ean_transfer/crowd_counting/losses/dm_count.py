"""DM-Count, a loss from points: the density, as a distribution, is moved onto the points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmengine.registry import MODELS
from torch import Tensor

from ean_transfer.crowd_counting.losses.base import (
    CountingLoss,
    own_cells,
    points_of,
    squared_distances,
)
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.io.checked import Positive, PositiveNumber, checked_arguments

EPSILON = 1e-8  # objects; keeps the logarithm of an empty cell's density finite


@MODELS.register_module()
class DMCountLoss(CountingLoss):
    """Wang et al., "Distribution Matching for Crowd Counting", NeurIPS 2020.

    Its terms for a density z with sum ``|z|`` and the N points of an image, averaged over the
    batch::

        loss_count      | |z| - N |
        loss_transport  weight x optimal transport cost from the points to z / |z|
        loss_variation  weight x N x total variation between z / |z| and the points' cells / N

    Moving a share of the density costs the squared distance in pixels from point to cell's centre,
    up to ``farthest``: without a limit, the squared widths of a single sparse crop would outweigh
    everything else. (The authors' code has no such limit by name, but its kernel
    ``exp(-cost / 10)`` underflows in float32 beyond about 30 pixels, to a similar effect.) The
    transport is solved
    with entropy regularisation, see :func:`sinkhorn`. An image without points has the first term
    only. No target map is needed.

    Args:
        transport_weight: Factor of ``loss_transport``.
        variation_weight: Factor of ``loss_variation``.
        farthest: Distance in pixels beyond which the cost grows no more; ``None`` for no limit.
        regularisation: Weight of the transport's entropy, in square pixels.
        iterations: Number of iterations of Sinkhorn's algorithm.
        loss_weight: Factor of all three terms.

    Raises:
        ConfigError: ``farthest``, ``regularisation`` or ``iterations`` is not positive.
    """

    @checked_arguments
    def __init__(
        self,
        transport_weight: float = 0.1,
        variation_weight: float = 0.01,
        farthest: PositiveNumber | None = 20.0,
        regularisation: PositiveNumber = 10.0,
        iterations: Positive = 100,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.farthest = farthest
        self.transport_weight = transport_weight
        self.variation_weight = variation_weight
        self.regularisation = regularisation
        self.iterations = iterations
        self.loss_weight = loss_weight

    def forward(
        self, density: Tensor, samples: Sequence[CountingDataSample], stride: int
    ) -> dict[str, Tensor]:
        """Return ``loss_count``, ``loss_transport`` and ``loss_variation``."""
        terms = []
        for cells, sample in zip(density[:, 0], samples, strict=True):
            own = own_cells(cells, sample, stride)
            terms.append(self._terms(own, points_of(sample, own), stride))
        count, transport, variation = torch.stack(terms).mean(dim=0)
        return {
            "loss_count": self.loss_weight * count,
            "loss_transport": self.loss_weight * self.transport_weight * transport,
            "loss_variation": self.loss_weight * self.variation_weight * variation,
        }

    def _terms(self, density: Tensor, points: Tensor, stride: int) -> Tensor:
        """The three terms of one image, without their weights: (3,)."""
        number = len(points)
        count = (density.sum() - number).abs()
        if not number:
            return torch.stack((count, 0 * count, 0 * count))
        share = (density / (density.sum() + EPSILON)).flatten()
        rows, columns = density.shape
        costs = squared_distances(points, rows, columns, stride)
        if self.farthest is not None:
            costs = costs.clamp_max(self.farthest**2)
        with torch.no_grad():
            point_share = torch.full_like(points[:, 0], 1 / number)
            of_points, of_cells = sinkhorn(
                costs, point_share, share, self.regularisation, self.iterations
            )
            constant = point_share @ of_points
        # The gradient of the transport's cost with respect to the shares is the potential: at the
        # optimum the potential's own change does not contribute (the envelope theorem).
        transport = constant + share @ of_cells
        truth = torch.zeros_like(density)
        column, row = ((points + 0.5) / stride).floor().long().unbind(dim=1)
        place = (row.clamp(0, rows - 1), column.clamp(0, columns - 1))
        truth.index_put_(place, torch.ones_like(points[:, 0]), accumulate=True)
        variation = number * 0.5 * (share - truth.flatten() / number).abs().sum()
        return torch.stack((count, transport, variation))


def sinkhorn(
    costs: Tensor, source: Tensor, target: Tensor, regularisation: float, iterations: int
) -> tuple[Tensor, Tensor]:
    """Potentials of the optimal transport with entropy regularisation (Cuturi, NIPS 2013).

    Computed in the logarithmic domain, where the costs of a large crop neither under- nor overflow.
    The plan is ``source_i target_j exp((f_i + g_j - costs_ij) / regularisation)``; its columns add
    up to ``target`` exactly, and its rows approach ``source`` with more iterations. For a small
    regularisation ``source . f + target . g`` is the cost of the unregularised optimum.

    Args:
        costs: (N, M), cost of moving one unit from i to j.
        source: (N,), >= 0, sum 1.
        target: (M,), >= 0, sum 1.
        regularisation: Weight of the entropy, in the unit of the costs.
        iterations: Number of iterations, at least 1.

    Returns:
        The potentials f, (N,), and g, (M,).
    """
    scaled = costs / regularisation
    log_source = source.clamp_min(math.exp(-80)).log()
    log_target = target.clamp_min(math.exp(-80)).log()
    g = torch.zeros_like(log_target)
    for _ in range(iterations):
        f = -torch.logsumexp(log_target + g - scaled, dim=1)
        g = -torch.logsumexp((log_source + f)[:, None] - scaled, dim=0)
    return regularisation * f, regularisation * g
