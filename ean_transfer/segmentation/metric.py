"""mmseg's metric of segmentation, with the IoU of each class in its results."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import METRICS
from mmseg.evaluation import IoUMetric
from torch import Tensor


@METRICS.register_module()
class PerClassIoUMetric(IoUMetric):
    """mmseg's ``IoUMetric`` with the IoU of each class among its results, e.g. ``IoU.Road``.

    It is in percent, over all pixels of the set, and NaN for a class that neither occurs nor is
    predicted; means leave such a class out. Where the labels hold fewer than two of several
    classes, the means over classes are NaN: always saying that one class would give 100. Classes
    that no label is of, and images that are ignored everywhere, are named in the log.
    """

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep each image's areas, and its path, so that it comes with them from other ranks."""
        super().process(data_batch, data_samples)
        if not self.format_only:
            areas = self.results[-len(data_samples) :]
            self.results[-len(data_samples) :] = [
                (*of_image, str(sample.get("img_path")))
                for of_image, sample in zip(areas, data_samples, strict=True)
            ]

    @staticmethod
    def intersect_and_union(
        pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> tuple[Tensor, ...]:
        """Pixels of intersection, union, prediction and truth of an image, by class.

        Not mmseg's, whose counts in single precision stay at 2^24: an aerial image of 5000 x 5000
        pixels has more.
        """
        known = label != ignore_index
        guess, truth = pred_label[known].long(), label[known].long()
        # A label that is no class is in no count, as with mmseg.
        both, guessed, labelled = (
            values[values < num_classes].bincount(minlength=num_classes).cpu().double()
            for values in (guess[guess == truth], guess, truth)
        )
        return both, guessed + labelled - both, guessed, labelled

    def compute_metrics(self, results: list) -> dict[str, float]:
        # One entry per image: areas of intersection, union, prediction and truth by class; path.
        metrics = super().compute_metrics([entry[:4] for entry in results])
        if self.format_only:
            return metrics
        names = self.dataset_meta["classes"]
        intersect, union, _, truth = (sum(entry[i] for entry in results) for i in range(4))
        absent = [name for name, area in zip(names, truth, strict=True) if area == 0]
        if absent:
            _warn(f"no label is of {_named(absent)}, {len(absent)} of {len(names)} classes")
        if len(names) > 1 >= len(names) - len(absent):
            metrics |= {name: math.nan for name in metrics if name.startswith("m")}
        for name, both, either in zip(names, intersect, union, strict=True):
            iou = 100.0 * float(both) / float(either) if either > 0 else math.nan
            metrics[f"IoU.{name}"] = round(iou, 2)
        if ignored := [path for *_, labelled, path in results if not labelled.any()]:
            _warn(f"{_named(ignored)}: every pixel is ignored, so no score depends on it")
        return metrics


def _named(names: Sequence[str]) -> str:
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")


def _warn(text: str) -> None:
    print_log(text, logger="current", level=logging.WARNING)
