"""Scores masks of counters: the error of the count, and the training loss, of each image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ean_transfer.crowd_counting.losses.base import own_cells, points_of
from ean_transfer.registry import SCORERS
from ean_transfer.supernet.scoring import LOSS, Metric, ModelScorer


@SCORERS.register_module()
class CountingScorer(ModelScorer):
    """Mean absolute error of the count (objects), and the counter's own losses, added up.

    Images are scored whole, without tiles. The losses are those of an image alone, without the
    padding of its batch. They need what training needs: with a loss of target maps, the held-out
    images' pipeline has ``DensityMap`` as well.
    """

    metric = Metric(
        "mae",
        "objects",
        higher_is_better=False,
        loss=Metric(LOSS.name, "units of loss", higher_is_better=False, decimals=6),
    )

    def rows(self, model: Any, batch: Any) -> tuple[Tensor, Tensor]:
        """Absolute errors of the counts (N,), and the losses (N,)."""
        maps = model(batch["inputs"], batch["data_samples"], mode="tensor").float()
        errors, losses = [], []
        for density, sample in zip(maps, batch["data_samples"], strict=True):
            own = own_cells(density[0], sample, model.stride)
            # On the CPU, since not every accelerator has double precision.
            errors.append((own.cpu().double().sum() - len(points_of(sample, own))).abs())
            terms = [loss(own[None, None], [sample], model.stride) for loss in model.losses]
            losses.append(sum(value for named in terms for value in named.values()))
        return torch.stack(errors), torch.stack(losses)
