"""Pascal VOC 2012, Cityscapes and ADE20K: their configs read the published folders and labels."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS

from ean_transfer.engine.config import load_config
from tests.helpers import CONFIGS

CONFIG_OF = {
    "voc2012": "pspnet_resnet50_d8_sge_voc2012",
    "cityscapes": "deeplabv3plus_resnet50_d8_sge_cityscapes",
    "ade20k": "upernet_resnet50_se_ade20k",
}
LABELS = {
    # The values in the columns of a label file, and the labels that they become.
    "voc2012": ([0, 20, 255], [0, 20, 255]),
    "cityscapes": ([0, 18, 255], [0, 18, 255]),
    "ade20k": ([0, 1, 150], [255, 0, 149]),
}
VOC, CITY = "JPEGImages/{}.jpg", ("_leftImg8bit.png", "_gtFine_labelTrainIds.png")
FILES = {
    # Images and label files of three training images and one validation image.
    "voc2012": [
        (VOC.format(name), f"SegmentationClass{aug}/{name}.png")
        for name, aug in (("1", ""), ("2", "Aug"), ("3", "Aug"), ("4", ""))
    ],
    "cityscapes": [
        (f"leftImg8bit/{name}{CITY[0]}", f"gtFine/{name}{CITY[1]}")
        for name in ("train/a/1", "train/b/2", "train/b/3", "val/c/4")
    ],
    "ade20k": [
        (f"images/{name}.jpg", f"annotations/{name}.png")
        for name in ("training/1", "training/2", "training/3", "validation/4")
    ],
}


def write(root: Path, name: str) -> Path:
    """A data set of images of 48 x 32 pixels; labels fill a third of the columns each."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    labels = np.repeat(np.array(LABELS[name][0], np.uint8), 16)[None].repeat(32, axis=0)
    for image, label in FILES[name]:
        for file, values in ((root / image, pixels), (root / label, labels)):
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), values)
    if name == "voc2012":
        lists = root / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True)
        for part, names in {"train": "1", "aug": "2\n3", "val": "4"}.items():
            (lists / f"{part}.txt").write_text(names)
    return root


def moved(cfg: Any, root: Path) -> Any:
    """A data set's config, and those within it, with another root and images left at their size."""
    cfg = copy.deepcopy(cfg)
    for one in cfg.get("datasets", [cfg]):
        one.data_root = str(root)
        one.serialize_data = False  # which collects garbage, for seconds
        for step in one.pipeline:
            if "scale" in step:
                step.scale = (48, 32)
            if "crop_size" in step:
                step.crop_size = (24, 24)
    return cfg


@pytest.fixture(params=CONFIG_OF)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Config, Path]:
    name = request.param
    cfg = load_config(CONFIGS / f"segmentation/{CONFIG_OF[name]}.py")
    return name, cfg, write(tmp_path, name)


def test_published_folders_are_read(data: tuple[str, Config, Path]) -> None:
    name, cfg, root = data
    train = DATASETS.build(moved(cfg.train_dataloader.dataset, root))
    assert len(train) == 3 and len(train.metainfo["classes"]) == cfg.num_classes
    for item in (train[index] for index in range(3)):
        assert item["inputs"].shape[0] == 3 and max(item["inputs"].shape[1:]) <= 24
        assert item["data_samples"].gt_sem_seg.shape == item["inputs"].shape[1:]
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        test = DATASETS.build(moved(loader.dataset, root))
        assert len(test) == 1
        sample = test[0]["data_samples"]
        assert sample.img_path.split("/")[-1].startswith("4")
        # Two classes and the ignored label, at the labels' own size.
        assert sample.gt_sem_seg.data[0, 0, ::16].tolist() == LABELS[name][1]
        assert sample.gt_sem_seg.shape == (32, 48)


def test_augmented_tests_read_the_same_labels(data: tuple[str, Config, Path]) -> None:
    name, cfg, root = data
    dataset = moved(cfg.test_dataloader.dataset, root)
    dataset.pipeline = cfg.tta_pipeline
    for sample in DATASETS.build(dataset)[0]["data_samples"]:
        assert sample.gt_sem_seg.data[0, 0, ::16].tolist() == LABELS[name][1]


def test_scores_are_of_regions_pixels_and_classes(data: tuple[str, Config, Path]) -> None:
    name, cfg, root = data
    dataset = DATASETS.build(moved(cfg.test_dataloader.dataset, root))
    truth = dataset[0]["data_samples"].gt_sem_seg.data
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    guess = torch.where(truth == 255, 0, truth)  # whatever is said of ignored pixels is not counted
    metric.process({}, [{"pred_sem_seg": {"data": guess}, "gt_sem_seg": {"data": truth}}])
    scores = metric.evaluate(size=1)
    means = {"aAcc", "mIoU", "mAcc", "mFscore", "mPrecision", "mRecall"}
    present = {dataset.metainfo["classes"][index] for index in truth[truth != 255].unique()}
    names = dataset.metainfo["classes"] if name != "ade20k" else ()  # its classes are 150
    assert scores.keys() == means | {f"IoU.{name}" for name in names}
    absent = {f"IoU.{name}" for name in set(names) - present}
    assert all(math.isnan(scores.pop(name)) for name in absent)
    assert set(scores.values()) == {100.0}
