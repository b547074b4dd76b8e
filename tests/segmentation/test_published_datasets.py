"""Pascal VOC 2012, Cityscapes and ADE20K: their configs read the published folders and labels."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS

from ean_transfer.engine.config import load_config
from tests.helpers import ROOT

CONFIGS = ROOT / "configs" / "segmentation"
LABELS = {
    # What the columns of a label image hold, and what becomes of it.
    "voc2012": ([0, 20, 255], [0, 20, 255]),
    "cityscapes": ([0, 18, 255], [0, 18, 255]),
    "ade20k": ([0, 1, 150], [255, 0, 149]),
}


def write(folder: Path, name: str, image: str, label: str, values: list[int]) -> None:
    """An image of 48 x 32 pixels and its labels, a third of the columns for each value."""
    for file in (folder / image.format(name), folder / label.format(name)):
        file.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / image.format(name)), pixels)
    labels = np.repeat(np.array(values, np.uint8), 16)[None].repeat(32, axis=0)
    cv2.imwrite(str(folder / label.format(name)), labels)


def voc2012(root: Path) -> Path:
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    parts = {"train": ["1"], "aug": ["2", "3"], "val": ["4"]}
    for part, names in parts.items():
        (lists / f"{part}.txt").write_text("\n".join(names))
        folder = "SegmentationClassAug" if part == "aug" else "SegmentationClass"
        for name in names:
            write(root, name, "JPEGImages/{}.jpg", folder + "/{}.png", LABELS["voc2012"][0])
    return root


def cityscapes(root: Path) -> Path:
    for part, names in {"train": ["a/1", "b/2", "b/3"], "val": ["c/4"]}.items():
        image, label = "_leftImg8bit.png", "_gtFine_labelTrainIds.png"
        for name in names:
            files = (f"leftImg8bit/{part}/{{}}{image}", f"gtFine/{part}/{{}}{label}")
            write(root, name, *files, LABELS["cityscapes"][0])
    return root


def ade20k(root: Path) -> Path:
    for part, names in {"training": ["1", "2", "3"], "validation": ["4"]}.items():
        for name in names:
            files = (f"images/{part}/{{}}.jpg", f"annotations/{part}/{{}}.png")
            write(root, name, *files, LABELS["ade20k"][0])
    return root


DATA = {
    "voc2012": ("pspnet_resnet50_d8_sge_voc2012", voc2012),
    "cityscapes": ("deeplabv3plus_resnet50_d8_sge_cityscapes", cityscapes),
    "ade20k": ("upernet_resnet50_se_ade20k", ade20k),
}


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


@pytest.fixture(params=DATA)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Config, Path]:
    name, make = DATA[request.param]
    return request.param, load_config(CONFIGS / f"{name}.py"), make(tmp_path)


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
    present = [dataset.metainfo["classes"][index] for index in truth[truth != 255].unique()]
    each = set() if name == "ade20k" else {f"IoU.{name}" for name in present}  # its classes are 150
    assert scores.keys() == means | each
    assert set(scores.values()) == {100.0}
