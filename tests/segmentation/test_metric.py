"""Each class's IoU over all images of a test."""

from __future__ import annotations

import pytest
import torch

from ean_transfer.segmentation import PerClassIoUMetric


def test_each_class_has_its_iou_over_all_batches() -> None:
    metric = PerClassIoUMetric(iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": ("sky", "road", "pole", "ship")}
    # sky: 2 of 5 pixels; road: 4 of 6 pixels; pole: never found; ship: neither there nor said.
    for truth, guess in (
        ([0, 0, 0, 1, 1, 255], [0, 0, 1, 1, 0, 0]),
        ([0, 1, 1, 1, 2, 255], [1, 1, 1, 1, 0, 3]),
    ):
        sample = {
            "gt_sem_seg": {"data": torch.tensor([[truth]])},
            "pred_sem_seg": {"data": torch.tensor([[guess]])},
        }
        metric.process({}, [sample])
    scores = metric.evaluate(size=2)
    assert {name: value for name, value in scores.items() if name.startswith("IoU.")} == {
        "IoU.sky": pytest.approx(100 * 2 / 6, abs=0.01),
        "IoU.road": pytest.approx(100 * 4 / 7, abs=0.01),
        "IoU.pole": 0.0,
    }
    assert scores["mIoU"] == pytest.approx((100 * 2 / 6 + 100 * 4 / 7) / 3, abs=0.01)
