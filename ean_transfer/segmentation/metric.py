"""mmsegmentation's scores, each class's among them."""

from __future__ import annotations

from mmengine.registry import METRICS
from mmseg.evaluation import IoUMetric


@METRICS.register_module()
class PerClassIoUMetric(IoUMetric):
    """mmsegmentation's ``IoUMetric``, whose results also hold each class's IoU: ``IoU.Road``.

    In percent, over all pixels of the set; a class that neither occurs nor is predicted has none.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        metrics = super().compute_metrics(results)
        if self.format_only:
            return metrics
        intersect, union = (sum(areas[i] for areas in results) for i in (0, 1))
        for name, both, either in zip(self.dataset_meta["classes"], intersect, union, strict=True):
            if either > 0:
                metrics[f"IoU.{name}"] = round(100.0 * float(both) / float(either), 2)
        return metrics
