"""Scores masks of segmentors: mean IoU, and the cross entropy of each image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional as F

from ean_transfer.errors import ConfigError, DataError
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

    Predictions are those of mmseg's test: at the labels' size, and by the head's threshold where it
    has one output for two classes. But images are always seen whole, in batches of one size. The
    loss is not the training's where that has weights, samplers or auxiliary heads.

    Args:
        ignore_index: Label of the pixels to leave out.
    """

    metric = MeanIoU("miou", "points", worst=0.0, reward_unit="points")

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index

    def prepare(self, model: Any, raw: Any) -> dict[str, Any]:
        """Preprocess as for testing.

        Raises:
            ConfigError: The images of a batch have several sizes.
        """
        sizes = sorted({tuple(image.shape[-2:]) for image in raw["inputs"]})
        if len(sizes) > 1:
            raise ConfigError(
                "held-out images: expected one size in a batch, found height x width "
                f"{sizes[0][0]} x {sizes[0][1]} and {sizes[-1][0]} x {sizes[-1][1]}; put "
                "Resize(scale=(WIDTH, HEIGHT), keep_ratio=False) before the labels are read in "
                "val_dataloader's pipeline"
            )
        return super().prepare(model, raw)

    def rows(self, model: Any, batch: Any) -> tuple[Tensor, Tensor]:
        """Areas (N, 2 x classes) in pixels, and mean losses over each image's pixels (N,).

        Raises:
            DataError: Every pixel of an image is ignored, or its labels have another size.
        """
        samples = batch["data_samples"]
        logits = model.encode_decode(batch["inputs"], [sample.metainfo for sample in samples])
        if one_output := logits.shape[1] == 1:  # a sigmoid's: the same as two of a softmax
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        # Into new samples, since the batch's are kept in memory.
        results = [SegDataSample(metainfo=sample.metainfo) for sample in samples]
        model.postprocess_result(logits.float(), results)
        areas, losses = [], []
        for sample, result in zip(samples, results, strict=True):
            scores, predicted = result.seg_logits.data, result.pred_sem_seg.data[0]
            if one_output:
                predicted = (scores[1].sigmoid() > model.decode_head.threshold).long()
            labels = sample.gt_sem_seg.data[0].to(scores.device, torch.int64)
            valid = labels != self.ignore_index
            self._require_labels(sample, valid, predicted)
            areas.append(_areas(predicted[valid], labels[valid], len(scores)))
            losses.append(
                F.cross_entropy(scores[None], labels[None], ignore_index=self.ignore_index)
            )
        return torch.stack(areas), torch.stack(losses)

    def _require_labels(self, sample: SegDataSample, valid: Tensor, predicted: Tensor) -> None:
        name = sample.get("img_path", "a held-out image")
        if valid.shape != predicted.shape:
            height, width = predicted.shape
            raise DataError(
                f"{name}: expected labels of the image's original size, {height} x {width}, found "
                f"{valid.shape[0]} x {valid.shape[1]}; read them after Resize, as for testing, and "
                "crop nothing"
            )
        if not valid.any():
            raise DataError(
                f"{name}: expected labelled pixels to score masks on, found that all are "
                f"{self.ignore_index} (ignored): leave the image out of the held-out part"
            )


def _areas(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(2 x classes,) of float64: pixels of intersection and of union, by class."""

    def counts(values: Tensor) -> Tensor:
        return torch.bincount(values, minlength=classes).double()

    both = counts(labels[predicted == labels])
    either = counts(labels) + counts(predicted) - both
    return torch.cat([both, either])
