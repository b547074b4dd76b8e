"""A label or image file that does not fit ends in one line that names it, wherever it is met."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmcv.transforms import Resize
from mmcv.transforms import TestTimeAug as SeveralTimes  # pytest would collect a name in Test
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image
from torch.utils.data import DataLoader

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.engine.config import load_config
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.segmentation.loading import CheckedAnnotations
from tests.helpers import CONFIGS
from tests.segmentation.helpers import (
    IMAGE,
    LABEL,
    TEST,
    TRAIN,
    ZEROS,
    open_dataset,
    saves,
    write_pairs,
)


def terminal_line(capsys: pytest.CaptureFixture[str], action: Callable[[], Any]) -> str:
    """What the person at the terminal reads."""
    with pytest.raises(SystemExit), friendly_errors():
        action()
    return capsys.readouterr().err


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN = {
    "no label": (LABEL, Path.unlink, "No such file"),
    "truncated label": (LABEL, cut, "expected an image"),
    "value outside": (
        LABEL,
        saves(np.where(np.eye(48, 64), 200, ZEROS).astype(np.uint8)),
        "expected labels 0-4, 255, found 200 in 48 of 3072 pixels",
    ),
    "16 bits": (LABEL, saves((ZEROS + 258.0).astype(np.uint16)), "found 258 in"),
    "32 bits": (LABEL, saves(ZEROS.astype(np.int32) - 3, "TIFF"), "found -3 in"),
    "colours": (LABEL, saves(np.zeros((48, 64, 3), np.uint8)), "mode RGB"),
    "other size": (
        LABEL,
        saves(np.zeros((40, 64), np.uint8)),
        "expected 64 x 48 pixels .*found 64 x 40",
    ),
    "turned": (LABEL, saves(ZEROS.T), "found 48 x 64; .*turn one"),
    "truncated image": (IMAGE, cut, "expected an image"),
    "text for an image": (IMAGE, lambda path: path.write_text("404"), "expected an image"),
    "no image": (IMAGE, Path.unlink, "No such file"),
    "16 bit image": (IMAGE, saves((ZEROS + 9.0).astype(np.uint16)), "expected 8 bits"),
}


@pytest.mark.parametrize("pipeline", [TRAIN, TEST], ids=["train", "test"])
@pytest.mark.parametrize(("file", "break_it", "problem"), BROKEN.values(), ids=BROKEN)
def test_file_that_breaks_is_named(root: Path, file, break_it, problem, pipeline, capsys) -> None:
    dataset = open_dataset(root, pipeline)
    break_it(root / file)
    assert dataset[0]["data_samples"].gt_sem_seg.shape == (48, 64)
    line = terminal_line(capsys, lambda: dataset[1])
    assert line.startswith(f"error: {root / file}: ") and line.count("\n") == 1
    with pytest.raises(DataError, match=problem):
        dataset[1]


def test_message_survives_the_worker(root: Path, capsys) -> None:
    dataset = open_dataset(root)
    saves(ZEROS + 5)(root / LABEL)
    loader = DataLoader(dataset, batch_size=3, num_workers=1, collate_fn=pseudo_collate)
    batches = iter(loader)
    from_worker = terminal_line(capsys, lambda: next(batches))
    assert from_worker == terminal_line(capsys, lambda: dataset[1])
    batches._shutdown_workers()  # at once; the garbage collector would wait seconds for the worker


def test_message_reaches_the_terminal_from_test_time_augmentation(root: Path, capsys) -> None:
    sizes = [{"type": Resize, "scale_factor": factor} for factor in (0.5, 1.0)]
    versions = {"type": SeveralTimes, "transforms": [sizes, *([step] for step in TEST[2:])]}
    dataset = open_dataset(root, [TEST[0], versions])
    assert len(dataset[1]["inputs"]) == 2
    saves(ZEROS + 5)(root / LABEL)
    assert "found 5 in 3072 of 3072 pixels" in terminal_line(capsys, lambda: dataset[1])


def test_number_of_classes_must_be_known(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"0\.jpg: .*classes=.*, found none"):
        open_dataset(root, metainfo={})
    transform = CheckedAnnotations(num_classes=5)
    results = transform(dict(seg_map_path=str(root / LABEL), seg_fields=[]))
    assert results["seg_fields"] == ["gt_seg_map"] and results["gt_seg_map"].dtype == np.uint8


@pytest.mark.parametrize("reduce_zero_label", [False, True])
@pytest.mark.parametrize("label_map", [None, {0: 255, 1: 0, 2: 1, 3: 255, 7: 255}])
def test_labels_are_those_of_mmseg(tmp_path: Path, reduce_zero_label: bool, label_map) -> None:
    values = np.array([[0, 1, 2, 3, 255], [8 if reduce_zero_label and label_map else 1] * 5])
    saves(values.astype(np.uint8))(tmp_path / "0.png")

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


# -- training --------------------------------------------------------------------------------------


@pytest.fixture
def camvid(toy, tmp_path: Path) -> Config:
    """The toy network on a tiny CamVid, for two epochs of two iterations."""
    cfg = toy("segmentation/toy", train_cfg=dict(max_epochs=2, val_interval=2))
    data = load_config(CONFIGS / "_base_/datasets/camvid.py")
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


@pytest.mark.slow
def test_training_that_meets_a_broken_label_resumes_from_its_checkpoint(
    camvid: Config, tmp_path: Path
) -> None:
    path = tmp_path / "data" / LABEL
    whole = path.read_bytes()

    class Break(Hook):
        def after_train_iter(self, runner, batch_idx, **_):
            if runner.iter == 1:  # the first epoch's last
                cut(path)

    runner = build_runner(camvid, tmp_path / "run", quiet=True)
    runner.register_hook(Break())
    with pytest.raises(DataError, match=LABEL):
        runner.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text().endswith("epoch_1.pth")
    path.write_bytes(whole)
    assert train(camvid, tmp_path / "run", resume=True, quiet=True).epoch == 2


def test_validation_label_of_another_version_is_named_before_the_first_iteration(
    camvid: Config, tmp_path: Path
) -> None:
    saves(ZEROS + 12)(tmp_path / "data/val/labels/0.png")
    with pytest.raises(DataError, match=r"val/labels/0\.png: expected labels 0-11, 255.*found 12"):
        train(camvid, tmp_path / "run", quiet=True)
    assert not list(tmp_path.glob("run/*.pth"))
