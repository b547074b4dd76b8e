"""Mean absolute error and root mean square error of the counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS


@METRICS.register_module()
class CountingMetric(BaseMetric):
    """``MAE`` and ``RMSE`` over images.

    MAE = mean |predicted - true|; RMSE = sqrt(mean (predicted - true)^2), which the papers of the
    field print as "MSE". The true count is the number of points, never the sum of a density map.

    Select checkpoints by a part of the training set with
    ``CheckpointHook(save_best="MAE", rule="less")``: the hook cannot guess the rule.
    """

    default_prefix = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the error of each image.

        Args:
            data_batch: Unused.
            data_samples: :class:`CountingDataSample` as dicts, with ``gt_count`` and
                ``pred_count``.
        """
        for sample in data_samples:
            self.results.append(float(sample["pred_count"]) - float(sample["gt_count"]))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """MAE and RMSE of the errors of all ranks; NaN if there was no image."""
        if not results:
            return {"MAE": math.nan, "RMSE": math.nan}
        count = len(results)
        return {
            "MAE": math.fsum(abs(error) for error in results) / count,
            "RMSE": math.sqrt(math.fsum(error * error for error in results) / count),
        }
