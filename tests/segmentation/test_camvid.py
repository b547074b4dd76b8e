"""CamVid: labels in order, and void ignored by loss and metric."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS
from mmseg.evaluation import IoUMetric

from ean_transfer.errors import DataError
from ean_transfer.segmentation import CamVidDataset
from tests.segmentation.helpers import TRAIN


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two frames per split; a label image holds every value from 0 to 11, one per column."""
    labels = np.tile(np.arange(12, dtype=np.uint8), (4, 1))
    for split in ("train", "val"):
        for folder in ("images", "labels"):
            (tmp_path / split / folder).mkdir(parents=True)
        for name in ("0001", "0002"):
            image = np.full((4, 12, 3), 100, dtype=np.uint8)
            cv2.imwrite(str(tmp_path / split / "images" / f"{name}.jpg"), image)
            cv2.imwrite(str(tmp_path / split / "labels" / f"{name}.png"), labels)
    return tmp_path


@pytest.mark.parametrize("split", ["train", "val"])
def test_void_becomes_the_ignored_label_and_nothing_else_changes(root: Path, split: str) -> None:
    config = {"type": "CamVidDataset", "data_root": str(root), "split": split}
    dataset = DATASETS.build(config | {"pipeline": TRAIN})
    assert len(dataset) == 2
    item = dataset[0]
    assert item["inputs"].shape == (3, 4, 12)
    labels = item["data_samples"].gt_sem_seg.data
    assert labels[0, 0].tolist() == [*range(11), 255]


def test_folders_may_have_other_names(root: Path) -> None:
    (root / "val").rename(root / "test")
    assert len(CamVidDataset(root, "test")) == 2
    folders = {"img_path": "test/images", "seg_map_path": "test/labels"}
    dataset = CamVidDataset(root, data_prefix=folders, pipeline=TRAIN)
    assert dataset[0]["data_samples"].img_path == str(root / "test/images/0001.jpg")


def test_a_class_has_a_colour_each() -> None:
    classes, palette = CamVidDataset.METAINFO["classes"], CamVidDataset.METAINFO["palette"]
    assert len(classes) == len(set(map(tuple, palette))) == 11
    assert (classes[0], classes[8], classes[10]) == ("Sky", "Car", "Bicyclist")


def test_metric_leaves_void_out(root: Path) -> None:
    dataset = CamVidDataset(root, "val", pipeline=TRAIN)
    sample = dataset[0]["data_samples"]
    metric = IoUMetric(iou_metrics=["mIoU"])
    metric.dataset_meta = dataset.metainfo
    guess = sample.gt_sem_seg.data.clone()
    guess[guess == 255] = 3  # whatever is said of void must not count
    truth = {"data": sample.gt_sem_seg.data}
    metric.process({}, [{"pred_sem_seg": {"data": guess}, "gt_sem_seg": truth}])
    assert metric.evaluate(size=1)["mIoU"] == 100.0


def test_some_classes_can_be_chosen(root: Path) -> None:
    dataset = CamVidDataset(root, metainfo={"classes": ("Road", "Car")}, pipeline=TRAIN)
    labels = dataset[0]["data_samples"].gt_sem_seg.data
    assert labels[0, 0].tolist() == [255] * 3 + [0] + [255] * 4 + [1] + [255] * 3
    assert dataset.metainfo["palette"] == [[128, 64, 128], [64, 0, 128]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 12, 3), np.uint8), "mode RGB"),
        (np.full((4, 12), 31, np.uint8), "expected labels 0-11, 255, found 31 in"),
    ],
    ids=["colours", "32 classes"],
)
def test_labels_of_another_version_are_refused(
    root: Path, labels: np.ndarray, message: str
) -> None:
    cv2.imwrite(str(root / "train" / "labels" / "0001.png"), labels)
    with pytest.raises(DataError, match=rf"labels/0001\.png: .*{message}"):
        CamVidDataset(root)
