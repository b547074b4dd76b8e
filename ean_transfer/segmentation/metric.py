"""mmseg's metric of segmentation, with the IoU of each class in its results."""

from __future__ import annotations

from mmengine.registry import METRICS
from mmseg.evaluation import IoUMetric


@METRICS.register_module()
class PerClassIoUMetric(IoUMetric):
    """mmseg's ``IoUMetric`` with the IoU of each class among its results, e.g. ``IoU.Road``.

    It is in percent, over all pixels of the set; classes that neither occur nor are predicted are
    left out.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        metrics = super().compute_metrics(results)
        if self.format_only:
            return metrics
        # One entry per image: areas of intersection, union, prediction and truth, by class.
        intersect, union = (sum(areas[i] for areas in results) for i in (0, 1))
        for name, both, either in zip(self.dataset_meta["classes"], intersect, union, strict=True):
            if either > 0:
                metrics[f"IoU.{name}"] = round(100.0 * float(both) / float(either), 2)
        return metrics
