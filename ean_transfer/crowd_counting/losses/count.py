"""Absolute error of the count, as an additional term beside another loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.registry import MODELS
from torch import Tensor

from ean_transfer.crowd_counting.losses.base import CountingLoss, own_cells, points_of
from ean_transfer.crowd_counting.structures import CountingDataSample


@MODELS.register_module()
class CountL1(CountingLoss):
    """The mean over images of ``|sum of the density - number of points|``.

    Args:
        loss_weight: Factor of the term, ``loss_count``.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self, density: Tensor, samples: Sequence[CountingDataSample], stride: int
    ) -> dict[str, Tensor]:
        """Return ``loss_count``."""
        errors = [
            (own_cells(cells, sample, stride).sum() - len(points_of(sample, cells))).abs()
            for cells, sample in zip(density[:, 0], samples, strict=True)
        ]
        return {"loss_count": self.loss_weight * torch.stack(errors).mean()}
