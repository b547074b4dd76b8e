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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ignored: list[str] = []

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        super().process(data_batch, data_samples)
        if not self.format_only:
            for sample, areas in zip(data_samples, self.results[-len(data_samples) :], strict=True):
                if not areas[3].any():
                    self._ignored.append(str(sample.get("img_path")))

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
        metrics = super().compute_metrics(results)
        if self.format_only:
            return metrics
        names = self.dataset_meta["classes"]
        # One entry per image: areas of intersection, union, prediction and truth, by class.
        intersect, union, _, truth = (sum(areas[i] for areas in results) for i in range(4))
        absent = [name for name, area in zip(names, truth, strict=True) if area == 0]
        if absent:
            _warn(f"no label is of {_named(absent)}, {len(absent)} of {len(names)} classes")
        if len(names) > 1 >= len(names) - len(absent):
            metrics |= {name: math.nan for name in metrics if name.startswith("m")}
        for name, both, either in zip(names, intersect, union, strict=True):
            iou = 100.0 * float(both) / float(either) if either > 0 else math.nan
            metrics[f"IoU.{name}"] = round(iou, 2)
        if self._ignored:
            _warn(f"{_named(self._ignored)}: every pixel is ignored, so no score depends on it")
            self._ignored = []
        return metrics


def _named(names: Sequence[str]) -> str:
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")


def _warn(text: str) -> None:
    print_log(text, logger="current", level=logging.WARNING)
