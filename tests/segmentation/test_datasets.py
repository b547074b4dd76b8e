"""Missing and misfitting files are found when a data set is built, before anything is trained."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmengine.registry import DATASETS
from PIL import Image

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.segmentation import datasets
from ean_transfer.segmentation.datasets import (
    CheckedADE20KDataset,
    CheckedCityscapesDataset,
    CheckedPascalVOCDataset,
    require_files,
)
from tests.segmentation.helpers import IMAGE, LABEL, PREFIX, TRAIN, ZEROS, open_dataset, saves


def test_images_without_labels_are_counted_and_the_first_is_named(root: Path) -> None:
    for i in (1, 2):
        (root / f"train/labels/{i}.png").unlink()
    with pytest.raises(DataError, match=rf"^{root / LABEL}: .* {root / IMAGE} \(and 1 more\)"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("values", "problem"),
    [(ZEROS + 7, "labels 0-4, 255.* found 7 in"), (ZEROS[:9, :9], "64 x 48 .*, found 9 x 9")],
)
def test_first_label_is_read(root: Path, values: np.ndarray, problem: str) -> None:
    saves(values)(root / "train/labels/0.png")
    with pytest.raises(DataError, match=rf"labels/0\.png: expected {problem}"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (dict(img_suffix=".jpeg"), r"train/images: expected images \(\*\.jpeg\), found none"),
        (dict(seg_map_suffix="_x.png"), r"0_x\.png: no such file, .*0\.jpg \(and 2 more\)"),
        (dict(data_prefix=dict(img_path="val")), r"val: no such .* img_path; .* data_root"),
        (dict(ann_file="names.txt"), r"names\.txt: no such .* ann_file"),
        (dict(ann_file="wrong.txt"), r"images/7\.jpg: no such file"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_the_config_gets_wrong_is_named(root: Path, options, problem: str) -> None:
    (root / "wrong.txt").write_text("0\n7\n")
    with pytest.raises(DataError, match=problem):
        open_dataset(root, **options)


def test_labels_without_an_image_are_logged(root: Path, monkeypatch) -> None:
    logged = []
    monkeypatch.setattr(datasets, "print_log", lambda text, **how: logged.append((text, how)))
    open_dataset(root)
    assert not logged
    (root / IMAGE).rename(root / "train/images/1.jpeg")
    (root / "train/labels/._0.png").write_text("another system's")
    assert len(open_dataset(root)) == 2
    ((text, how),) = logged
    assert text.startswith(f"{root / LABEL}: ") and how["level"] == logging.WARNING


def test_data_set_without_labels_has_samples_without_labels(root: Path) -> None:
    prefix = dict(img_path="train/images")
    dataset = open_dataset(root, [TRAIN[0], TRAIN[2]], data_prefix=prefix)
    assert "gt_sem_seg" not in dataset[0]["data_samples"]
    dataset = open_dataset(root, data_prefix=prefix)
    with pytest.raises(ConfigError, match=r"0\.jpg: expected .*seg_map_path"):
        dataset[0]


def test_samples_of_any_data_set_can_be_required(root: Path) -> None:
    info = dict(img_path=str(root / IMAGE), seg_map_path=str(root / LABEL))
    require_files([info, dict(img_path=info["img_path"])])
    with pytest.raises(DataError, match=r"labels/9\.png: no such file"):
        require_files([info, info | dict(seg_map_path=str(root / "train/labels/9.png"))])


# -- data sets of mmseg ----------------------------------------------------------------------------


def test_ade20k_names_the_values_in_the_file(root: Path) -> None:
    values = np.tile(np.array([0, 1, 150, 255], np.uint8).repeat(16), (48, 1))
    saves(values)(root / "train/labels/0.png")
    dataset = CheckedADE20KDataset(data_root=str(root), data_prefix=PREFIX, pipeline=TRAIN)
    assert dataset.metainfo["reduce_zero_label"]
    assert dataset[0]["data_samples"].gt_sem_seg.data[0, 0, ::16].tolist() == [255, 0, 149, 255]
    saves(values + (values == 150))(root / LABEL)
    with pytest.raises(DataError, match="expected labels 0-150, 255, found 151 "):
        dataset[1]


def test_lists_of_voc_are_checked_as_a_concatenation(root: Path) -> None:
    (root / "train.txt").write_text("0\n1\n")
    (root / "aug.txt").write_text("2\n")
    voc = dict(
        type=CheckedPascalVOCDataset, data_root=str(root), data_prefix=PREFIX, pipeline=TRAIN
    )
    lists = [dict(voc, ann_file=name) for name in ("train.txt", "aug.txt")]
    concatenation = dict(type=ConcatDataset, datasets=lists)
    assert len(DATASETS.build(concatenation)) == 3
    (root / "train/labels/2.png").unlink()
    with pytest.raises(DataError, match=r"labels/2\.png: no such file"):
        DATASETS.build(concatenation)


def test_cityscapes_finds_its_suffixes(root: Path) -> None:
    for folder, suffix in (("images", "leftImg8bit"), ("labels", "gtFine_labelTrainIds")):
        (root / "city" / folder / "ulm").mkdir(parents=True)
        Image.fromarray(ZEROS).save(root / "city" / folder / "ulm" / f"ulm_0_{suffix}.png")
    prefix = dict(img_path="city/images", seg_map_path="city/labels")
    dataset = CheckedCityscapesDataset(data_root=str(root), data_prefix=prefix, pipeline=TRAIN)
    assert len(dataset) == 1 and dataset[0]["data_samples"].gt_sem_seg.data.max() == 0
