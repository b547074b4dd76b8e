"""The Bayesian loss, from points: each person's expected count is one."""

from __future__ import annotations

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
from ean_transfer.io.checked import PositiveNumber, checked_arguments


@MODELS.register_module()
class BayesianLoss(CountingLoss):
    """Bayesian+ loss: Ma et al., "Bayesian Loss for Crowd Count Estimation with Point Supervision",
    ICCV 2019.

    A cell at ``x`` belongs to person n with a posterior ``p(n | x)``, proportional to a Gaussian of
    their distance. Cells far from all people belong to a background point, whose distance from a
    cell is ``|d - distance to the nearest person|``. With the density D, the expected counts are
    ``E_n = sum over x of p(n | x) D(x)``, and the loss is ``sum |1 - E_n| + |0 - E_background|``,
    averaged over the images of a batch. No target map is needed.

    Args:
        sigma: Standard deviation of the Gaussians in pixels.
        background: The distance ``d`` as a share of the shorter side of the image (in training, of
            the crop); ``None`` leaves the background out (the paper's plain Bayesian loss).
        loss_weight: Factor of the term, ``loss_bayesian``.

    Raises:
        ConfigError: ``sigma`` or ``background`` is not positive.
    """

    @checked_arguments
    def __init__(
        self,
        sigma: PositiveNumber = 8.0,
        background: PositiveNumber | None = 0.15,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.sigma = sigma
        self.background = background
        self.loss_weight = loss_weight

    def forward(
        self, density: Tensor, samples: Sequence[CountingDataSample], stride: int
    ) -> dict[str, Tensor]:
        """Return ``loss_bayesian``."""
        losses = []
        for cells, sample in zip(density[:, 0], samples, strict=True):
            own = own_cells(cells, sample, stride)
            points = points_of(sample, own)
            if not len(points):  # everything is background
                losses.append(own.sum())
                continue
            rows, columns = own.shape
            posterior = self.posterior(points, rows, columns, stride)
            expected = posterior @ own.flatten()
            target = torch.ones_like(expected)
            target[len(points) :] = 0
            losses.append((target - expected).abs().sum())
        return {"loss_bayesian": self.loss_weight * torch.stack(losses).mean()}

    def posterior(self, points: Tensor, rows: int, columns: int, stride: int) -> Tensor:
        """p(n | x): (N, rows x columns) for N > 0 points; one more row with a background."""
        distances = squared_distances(points, rows, columns, stride)
        if self.background is not None:
            reach = self.background * min(rows, columns) * stride
            nearest = distances.min(dim=0, keepdim=True).values.sqrt()
            distances = torch.cat((distances, (reach - nearest) ** 2))
        return torch.softmax(-distances / (2 * self.sigma**2), dim=0)
