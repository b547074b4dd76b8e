"""Scores masks of counters: the error of the count, and the training loss, of each image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ean_transfer.crowd_counting.losses.base import own_cells, points_of
from ean_transfer.registry import SCORERS
from ean_transfer.supernet.scoring import Metric, ModelScorer


@SCORERS.register_module()
class CountingScorer(ModelScorer):
    """Mean absolute error of the count (objects), and the counter's own losses, added up.

    Images are scored whole, without tiles. The loss needs what training needs: with a loss of
    target maps, the held-out images' pipeline has ``DensityMap`` as well.
    """

    metric = Metric("mae", "objects", higher_is_better=False, worst=1e4, reward_unit="objects")

    def rows(self, model: Any, batch: Any) -> tuple[Tensor, Tensor]:
        """Absolute errors of the counts (N,), and the losses (N,)."""
        samples = batch["data_samples"]
        maps = model(batch["inputs"], samples, mode="tensor").float()
        errors, losses = [], []
        for density, sample in zip(maps, samples, strict=True):
            count = own_cells(density[0], sample, model.stride).double().sum()
            errors.append((count - len(points_of(sample, density))).abs())
            terms = [loss(density[None], [sample], model.stride) for loss in model.losses]
            losses.append(sum(value for named in terms for value in named.values()))
        return torch.stack(errors), torch.stack(losses)
