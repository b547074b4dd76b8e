"""Scores masks of segmentors: mean IoU, and the cross entropy of each image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ean_transfer.errors import DataError
from ean_transfer.registry import SCORERS
from ean_transfer.supernet.scoring import Metric, ModelScorer


class MeanIoU(Metric):
    """Mean over classes of intersection over union, over all pixels of the images, in percent.

    A row holds an image's intersections, then its unions, in pixels by class. A class that neither
    occurs nor is predicted is in no mean.
    """

    def value(self, sums: np.ndarray, images: int) -> np.ndarray:
        """The mean IoU of sets of images, from (..., 2 x classes) sums of areas."""
        intersection, union = np.split(sums, 2, axis=-1)
        occurs = union > 0
        shares = np.divide(intersection, union, out=np.zeros_like(union), where=occurs)
        return 100.0 * shares.sum(axis=-1) / occurs.sum(axis=-1)


@SCORERS.register_module()
class SegmentationScorer(ModelScorer):
    """Mean IoU and cross entropy (nats per pixel) of one of mmseg's encoder-decoders.

    Images are scored whole, in batches of one size. Pixels that labels ignore are left out.

    Args:
        ignore_index: Label of the pixels to ignore.
    """

    metric = MeanIoU("miou", "points", reward_unit="points")

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index

    def rows(self, model: Any, batch: Any) -> tuple[Tensor, Tensor]:
        """Areas (N, 2 x classes) in pixels, and mean losses over each image's pixels (N,).

        Raises:
            DataError: Every pixel of an image is ignored, or a label has no class.
        """
        logits = model(batch["inputs"], batch["data_samples"], mode="tensor")
        labels = torch.stack([sample.gt_sem_seg.data[0] for sample in batch["data_samples"]])
        labels = labels.to(logits.device, torch.int64)
        logits = F.interpolate(
            logits, labels.shape[-2:], mode="bilinear", align_corners=model.align_corners
        )
        if logits.shape[1] == 1:  # one map for two classes, a sigmoid's
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        valid = labels != self.ignore_index
        self._require_labels(labels, valid, logits.shape[1], batch["data_samples"])
        losses = F.cross_entropy(logits, labels, ignore_index=self.ignore_index, reduction="none")
        areas = _areas(logits.argmax(dim=1), labels, valid, logits.shape[1])
        return areas, losses.sum(dim=(1, 2)) / valid.sum(dim=(1, 2))

    def _require_labels(self, labels: Tensor, valid: Tensor, classes: int, samples: Any) -> None:
        for label, own, sample in zip(labels, valid, samples, strict=True):
            name = sample.get("img_path", "a held-out image")
            if not own.any():
                raise DataError(
                    f"{name}: expected labelled pixels to score masks on, found that all are "
                    f"{self.ignore_index} (ignored): leave the image out of the held-out part"
                )
            if (highest := int(label[own].max())) >= classes:
                raise DataError(
                    f"{name}: expected labels below the network's {classes} classes or "
                    f"{self.ignore_index}, found {highest}"
                )


def _areas(predicted: Tensor, labels: Tensor, valid: Tensor, classes: int) -> Tensor:
    """(N, 2 x classes) of float64: pixels of intersection and of union, by image and class."""
    offset = classes * torch.arange(len(labels), device=labels.device).view(-1, 1, 1)

    def counted(values: Tensor, where: Tensor) -> Tensor:
        counts = torch.bincount((values + offset)[where], minlength=classes * len(labels))
        return counts.view(len(labels), classes).double()

    both = counted(labels, valid & (predicted == labels))
    either = counted(labels, valid) + counted(predicted, valid) - both
    return torch.cat([both, either], dim=1)
