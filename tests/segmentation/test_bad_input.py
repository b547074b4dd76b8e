"""Broken files end in one line that names them, in the main process or a worker; none is skipped,
and a training that meets one goes on from its last checkpoint when the file is mended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import Resize
from mmcv.transforms import TestTimeAug as SeveralTimes  # pytest would collect a name in Test
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, pseudo_collate
from mmengine.hooks import Hook
from mmengine.registry import DATASETS
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from PIL import Image
from torch.utils.data import DataLoader

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.engine.config import load_config
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.segmentation import datasets as checks
from ean_transfer.segmentation.datasets import (
    CheckedADE20KDataset,
    CheckedCityscapesDataset,
    CheckedPascalVOCDataset,
    CheckedSegDataset,
    require_files,
)
from ean_transfer.data.loading import LoadImage
from ean_transfer.segmentation.loading import CheckedAnnotations
from tests.helpers import ROOT

TRAIN = [{"type": LoadImage}, {"type": CheckedAnnotations}, {"type": PackSegInputs}]
TEST = [
    {"type": LoadImage},
    {"type": Resize, "scale": (32, 24), "keep_ratio": True},
    {"type": CheckedAnnotations},
    {"type": PackSegInputs},
]
CLASSES = tuple("abcde")


def write_pairs(root: Path, number: int, split: str = "train", classes: int = 5) -> Path:
    """``root/split/{images/i.jpg,labels/i.png}``, 48 x 64 pixels, labels of all classes."""
    generator = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / split / folder).mkdir(parents=True)
    for i in range(number):
        image = generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        labels = generator.integers(0, classes, (48, 64), dtype=np.uint8)
        cv2.imwrite(str(root / split / "images" / f"{i}.jpg"), image)
        cv2.imwrite(str(root / split / "labels" / f"{i}.png"), labels)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_pairs(tmp_path, 3)


def open_dataset(
    root: Path, pipeline: list[dict[str, Any]] = TRAIN, **options: Any
) -> CheckedSegDataset:
    options.setdefault("data_prefix", dict(img_path="train/images", seg_map_path="train/labels"))
    options.setdefault("metainfo", dict(classes=CLASSES))
    return CheckedSegDataset(data_root=str(root), pipeline=pipeline, **options)


def said(capsys: pytest.CaptureFixture[str], action: Callable[[], Any]) -> str:
    """What the person at the terminal reads."""
    with pytest.raises(SystemExit), friendly_errors():
        action()
    return capsys.readouterr().err


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_labels(values: Any, kind: str = "PNG") -> Callable[[Path], None]:
    return lambda path: Image.fromarray(np.asarray(values)).save(path, format=kind)


# -- a file that breaks, at each place where it may be met -----------------------------------------

LABEL, IMAGE = "train/labels/1.png", "train/images/1.jpg"
FULL = np.zeros((48, 64), np.uint8)
BROKEN = {
    "no label": (
        LABEL,
        Path.unlink,
        r"labels/1\.png: no such file, expected the labels of .*1\.jp",
    ),
    "truncated label": (LABEL, cut, r"labels/1\.png: expected an image, cannot read it \(.*again"),
    "value outside": (
        LABEL,
        write_labels(np.where(np.eye(48, 64), 200, FULL).astype(np.uint8)),
        r"labels/1\.png: expected labels 0-4, 255 \(5 classes\), found 200 in 48 of 3072 pixels; "
        "correct the file",
    ),
    "16 bits": (LABEL, write_labels((FULL + 258.0).astype(np.uint16)), r"1\.png: .* found 258 in"),
    "32 bits": (LABEL, write_labels(FULL.astype(np.int32) - 3, "TIFF"), r"1\.png: .* found -3 in"),
    "colours": (
        LABEL,
        write_labels(np.zeros((48, 64, 3), np.uint8)),
        r"labels/1\.png: expected one whole number a pixel, its label, found Pillow's mode RGB; co",
    ),
    "other size": (
        LABEL,
        write_labels(np.zeros((40, 64), np.uint8)),
        r"labels/1\.png: expected 64 x 48 pixels as in .*images/1\.jpg, found 64 x 40; give the im",
    ),
    "turned": (LABEL, write_labels(FULL.T), r"1\.png: .* found 48 x 64; .*\(or one .* is turned\)"),
    "truncated image": (IMAGE, cut, r"images/1\.jpg: expected an image, cannot read it \(.*again"),
    "text for an image": (IMAGE, lambda path: path.write_text("404"), r"1\.jpg: expected an image"),
    "no image": (IMAGE, Path.unlink, r"1\.jpg: expected an image, cannot read it \(.*No such file"),
    "16 bit image": (
        IMAGE,
        write_labels((FULL + 9.0).astype(np.uint16)),
        r"images/1\.jpg: expected 8 bits a channel, found Pillow's mode I;16; save the image as 8",
    ),
}


@pytest.mark.parametrize("pipeline", [TRAIN, TEST], ids=["train", "test"])
@pytest.mark.parametrize("case", BROKEN)
def test_file_that_breaks_is_named(root: Path, case: str, pipeline, capsys) -> None:
    file, do, expected = BROKEN[case]
    dataset = open_dataset(root, pipeline)
    do(root / file)
    assert dataset[0]["data_samples"].gt_sem_seg.shape == (48, 64)
    message = said(capsys, lambda: dataset[1])
    assert message.startswith(f"error: {root}/train/") and message.count("\n") == 1
    with pytest.raises(DataError, match=expected):
        dataset[1]


def test_message_survives_the_worker(root: Path, capsys) -> None:
    file, do, _ = BROKEN["value outside"]
    dataset = open_dataset(root)
    do(root / file)
    loader = DataLoader(dataset, batch_size=3, num_workers=1, collate_fn=pseudo_collate)
    batches = iter(loader)
    assert said(capsys, lambda: next(batches)) == said(capsys, lambda: dataset[1])
    batches._shutdown_workers()  # at once; the garbage collector would wait seconds for the worker


def test_message_reaches_the_terminal_from_a_pipeline_of_test_time_augmentation(
    root: Path, capsys
) -> None:
    versions = [[{"type": Resize, "scale_factor": factor} for factor in (0.5, 1.0)], *TEST[2:]]
    versions = [step if isinstance(step, list) else [step] for step in versions]
    dataset = open_dataset(root, [TEST[0], {"type": SeveralTimes, "transforms": versions}])
    assert len(dataset[1]["inputs"]) == 2
    write_labels(FULL + 5)(root / LABEL)
    assert "found 5 in 3072 of 3072 pixels" in said(capsys, lambda: dataset[1])


# -- what is found before anything is trained ------------------------------------------------------


def test_images_without_labels_are_found_when_the_data_set_is_built(root: Path, capsys) -> None:
    for i in (1, 2):
        (root / f"train/labels/{i}.png").unlink()
    labels, image = root / "train/labels/1.png", root / "train/images/1.jpg"
    assert said(capsys, lambda: open_dataset(root)) == (
        f"error: {labels}: no such file, expected the labels of {image} (and 1 more); add the "
        "missing, remove the image, or check seg_map_suffix\n"
    )


def test_first_label_is_read_when_the_data_set_is_built(root: Path) -> None:
    write_labels(FULL + 7)(root / "train/labels/0.png")
    with pytest.raises(DataError, match=r"0\.png: expected labels 0-4, 255 .* found 7 in"):
        open_dataset(root)
    write_labels(np.zeros((9, 9), np.uint8))(root / "train/labels/0.png")
    with pytest.raises(DataError, match=r"0\.png: expected 64 x 48 pixels as in .*, found 9 x 9"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(img_suffix=".jpeg"), r"train/images: found no images \(\*\.jpeg\); check data_root"),
        (dict(seg_map_suffix="_x.png"), r"0_x\.png: no such file, .*0\.jpg \(and 2 more\)"),
        (dict(data_prefix=dict(img_path="val")), r"val: no such folder, expected .* img_path; unp"),
        (dict(ann_file="names.txt"), r"names\.txt: no such file, expected the data set's list"),
    ],
    ids=["image suffix", "label suffix", "folder", "list"],
)
def test_what_the_config_gets_wrong_is_named(root: Path, options, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(root, **options)


def test_listed_image_that_is_not_there_is_named(root: Path) -> None:
    (root / "names.txt").write_text("0\n7\n")
    with pytest.raises(DataError, match=r"images/7\.jpg: no such file, expected an image; add"):
        open_dataset(root, ann_file="names.txt")


def test_labels_without_an_image_are_logged(root: Path, monkeypatch) -> None:
    said = []
    monkeypatch.setattr(checks, "print_log", lambda message, **_: said.append(message))
    open_dataset(root)
    assert not said
    (root / IMAGE).rename(root / "train/images/1.jpeg")
    (root / "train/labels/._0.png").write_text("another system's")
    assert len(open_dataset(root)) == 2
    assert f"{root / LABEL}: left out, there is no image (*.jpg) of that name" in said[0]


def test_data_set_without_labels_is_one_and_its_samples_have_none(root: Path) -> None:
    dataset = open_dataset(root, [TRAIN[0], TRAIN[2]], data_prefix=dict(img_path="train/images"))
    assert "gt_sem_seg" not in dataset[0]["data_samples"]
    dataset = open_dataset(root, data_prefix=dict(img_path="train/images"))
    with pytest.raises(DataError, match=r"0\.jpg: expected labels, found a data set without; give"):
        dataset[0]


def test_number_of_classes_must_be_known(root: Path) -> None:
    with pytest.raises(ConfigError, match="expected the number of classes, found none; pass num_c"):
        open_dataset(root, metainfo={})
    transform = CheckedAnnotations(num_classes=5)
    labels = str(root / LABEL)
    results = transform(dict(seg_map_path=labels, seg_fields=[]))
    assert results["seg_fields"] == ["gt_seg_map"] and results["gt_seg_map"].dtype == np.uint8


# -- data sets of mmseg ----------------------------------------------------------------------------


def test_samples_of_any_data_set_can_be_required(root: Path) -> None:
    info = dict(img_path=str(root / IMAGE), seg_map_path=str(root / LABEL))
    require_files([info, dict(img_path=info["img_path"])])
    with pytest.raises(DataError, match=r"labels/9\.png: no such file, expected the labels of"):
        require_files([info, info | dict(seg_map_path=str(root / "train/labels/9.png"))])


def test_ade20k_speaks_of_the_values_in_the_file(root: Path) -> None:
    options = dict(
        data_root=str(root),
        data_prefix=dict(img_path="train/images", seg_map_path="train/labels"),
        pipeline=TRAIN,
    )
    values = np.tile(np.array([0, 1, 150, 255], np.uint8).repeat(16), (48, 1))
    write_labels(values)(root / "train/labels/0.png")
    dataset = CheckedADE20KDataset(**options)
    assert dataset.metainfo["reduce_zero_label"]
    assert dataset[0]["data_samples"].gt_sem_seg.data[0, 0, ::16].tolist() == [255, 0, 149, 255]
    write_labels(values + (values == 150))(root / LABEL)
    with pytest.raises(DataError, match=r"expected labels 0-150, 255 \(150 classes\), found 151 "):
        dataset[1]


def test_lists_of_voc_are_checked_as_a_concatenation(root: Path) -> None:
    (root / "train.txt").write_text("0\n1\n")
    (root / "aug.txt").write_text("2\n")
    voc = dict(
        type=CheckedPascalVOCDataset,
        data_root=str(root),
        data_prefix=dict(img_path="train/images", seg_map_path="train/labels"),
        pipeline=TRAIN,
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
        Image.fromarray(FULL).save(root / "city" / folder / "ulm" / f"ulm_0_{suffix}.png")
    prefix = dict(img_path="city/images", seg_map_path="city/labels")
    dataset = CheckedCityscapesDataset(data_root=str(root), data_prefix=prefix, pipeline=TRAIN)
    assert len(dataset) == 1 and dataset[0]["data_samples"].gt_sem_seg.data.max() == 0


@pytest.mark.parametrize("reduce_zero_label", [False, True])
@pytest.mark.parametrize("label_map", [None, {0: 255, 1: 0, 2: 1, 3: 255, 7: 255}])
def test_labels_are_those_of_mmseg(tmp_path: Path, reduce_zero_label: bool, label_map) -> None:
    values = np.array([[0, 1, 2, 3, 255], [8 if reduce_zero_label and label_map else 1] * 5])
    write_labels(values.astype(np.uint8))(tmp_path / "0.png")

    def loaded(transform):
        sample = dict(seg_map_path=str(tmp_path / "0.png"), seg_fields=[], label_map=label_map)
        return transform(sample | dict(reduce_zero_label=reduce_zero_label))["gt_seg_map"]

    mine, theirs = loaded(CheckedAnnotations(num_classes=4)), loaded(LoadAnnotations())
    assert mine.dtype == theirs.dtype and mine.tolist() == theirs.tolist()


@pytest.mark.parametrize("mode", ["1", "P", "I;16", "I"])
def test_labels_of_other_depths_are_read_if_they_are_labels(root: Path, mode: str) -> None:
    dataset = open_dataset(root)
    values = np.eye(48, 64, dtype={"1": bool, "I": np.int32, "I;16": np.uint16}.get(mode, np.uint8))
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([200, 100, 0, 7, 8, 9])
    image.save(root / LABEL, format="TIFF")
    with Image.open(root / LABEL) as saved:
        assert saved.mode == mode
    labels = dataset[1]["data_samples"].gt_sem_seg.data
    assert labels[0].numpy().tolist() == np.eye(48, 64).tolist()


def test_image_is_read_as_by_mmcv_turned_by_its_exif(root: Path) -> None:
    path = root / IMAGE
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(path, exif=exif)
    results = LoadImage()(dict(img_path=str(path)))
    assert results["ori_shape"] == results["img_shape"] == (64, 48)
    assert (results["img"] == cv2.imread(str(path))).all()


# -- training --------------------------------------------------------------------------------------


@pytest.fixture
def camvid(toy, tmp_path: Path) -> Config:
    """The toy network on a tiny CamVid, for two epochs of two iterations."""
    cfg = toy("segmentation/toy", train_cfg=dict(max_epochs=2, val_interval=2))
    data = load_config(ROOT / "configs/_base_/datasets/camvid.py")
    for split in ("train", "val"):
        write_pairs(tmp_path / "data", 4, split, classes=12)
        loader = cfg[f"{split}_dataloader"]
        loader.batch_size = 2
        loader["dataset"] = data[f"{split}_dataloader"].dataset
        loader.dataset.data_root = str(tmp_path / "data")
    data.train_pipeline[2].scale = data.test_pipeline[1].scale = (64, 48)
    data.train_pipeline[3].crop_size = (48, 48)
    cfg.train_dataloader.dataset.pipeline = data.train_pipeline
    cfg.val_dataloader.dataset.pipeline = data.test_pipeline
    cfg.test_dataloader = cfg.val_dataloader
    cfg.model.decode_head.num_classes = data.num_classes
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    return cfg


def test_training_that_meets_a_broken_label_goes_on_from_its_checkpoint(
    camvid: Config, tmp_path: Path
) -> None:
    file, do, _ = BROKEN["value outside"]
    path = tmp_path / "data" / file
    whole = path.read_bytes()

    class Break(Hook):
        def after_train_iter(self, runner, batch_idx, **_):
            if runner.iter == 1:  # the first epoch's last
                do(path)

    runner = build_runner(camvid, tmp_path / "run", quiet=True)
    runner.register_hook(Break())
    with pytest.raises(DataError, match=file):
        runner.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text().endswith("epoch_1.pth")
    path.write_bytes(whole)
    assert train(camvid, tmp_path / "run", resume=True, quiet=True).epoch == 2


def test_validation_label_of_another_version_is_named_before_the_first_iteration(
    camvid: Config, tmp_path: Path
) -> None:
    write_labels(FULL + 12)(tmp_path / "data/val/labels/0.png")
    with pytest.raises(DataError, match=r"val/labels/0\.png: expected labels 0-11, 255 .*found 12"):
        train(camvid, tmp_path / "run", quiet=True)
    assert not list(tmp_path.glob("run/*.pth"))
