"""Scores masks of classifiers: accuracy and cross entropy of each image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ean_transfer.registry import SCORERS
from ean_transfer.supernet.scoring import ACCURACY, ModelScorer


@SCORERS.register_module()
class ClassificationScorer(ModelScorer):
    """Top-1 accuracy and cross entropy of a classifier of mmpretrain, or one of its interface."""

    metric = ACCURACY

    def rows(self, model: Any, batch: Any) -> tuple[Tensor, Tensor]:
        """Whether each image is right, and its cross entropy in nats."""
        samples = batch["data_samples"]
        logits = model(batch["inputs"], samples, mode="tensor")
        labels = torch.cat([sample.gt_label for sample in samples]).to(logits.device)
        return (logits.argmax(dim=1) == labels).float(), F.cross_entropy(
            logits, labels, reduction="none"
        )
