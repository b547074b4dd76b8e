"""Training on a folder: the whole way, and what a file that breaks on the way costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook

from ean_transfer.engine.config import load_config
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.training import evaluate, train
from ean_transfer.errors import DataError
from tests.crowd_counting.folders import write_shanghaitech
from tests.helpers import ROOT


def write_photographs(root: Path, split: str, number: int) -> list[Path]:
    """A folder in ShanghaiTech's format; image i shows i - 1 people."""
    points = np.random.default_rng(0).uniform((0, 0), (64, 48), (number, 2))
    folder = write_shanghaitech(root, {i: points[: i - 1] for i in range(1, number + 1)}, split)
    return [folder / f"images/IMG_{i}.jpg" for i in range(1, number + 1)]


@pytest.fixture
def photographs(tmp_path: Path) -> tuple[Config, list[Path]]:
    """The config of a few photographs, made tiny, and its training images."""
    images = write_photographs(tmp_path / "data", "train", 6)
    write_photographs(tmp_path / "data", "test", 3)
    cfg = load_config(ROOT / "configs/crowd_counting/resnet20_se_crowd_short.py")
    # At a width of 4 the backward pass in channels_last corrupts memory (torch 2.14, AMD EPYC).
    cfg.model.backbone.update(base_channels=8, ticket="full")
    cfg.model.backbone.attention.reduction = 2
    cfg.model.head.update(in_channels=32, channels=8)
    for part in ("train", "val", "test"):
        loader = cfg[f"{part}_dataloader"]
        loader.dataset.data_root = str(tmp_path / "data")
        loader.dataset.pipeline[1].longest = 60  # LimitSize is on the way
    cfg.train_dataloader.dataset.indices = [0, 1, 2, 3]
    cfg.val_dataloader.dataset.indices = [4, 5]
    for transform in cfg.train_dataloader.dataset.pipeline[2].transforms:
        if transform["type"] == "RandomCrop":
            transform.update(height=32, width=32)
    cfg.train_cfg.update(max_iters=6, val_interval=2)
    cfg.default_hooks.checkpoint.update(interval=2, max_keep_ckpts=-1)
    cfg.param_scheduler = []
    return cfg, images


def test_trains_validates_with_pictures_and_tests_with_a_table(photographs, tmp_path):
    cfg, _ = photographs
    train(cfg, tmp_path / "run", quiet=True)
    pictures = {path.name for path in tmp_path.glob("run/*/vis_data/vis_image/*.png")}
    assert pictures == {f"val_{i}_IMG_{i + 5}_{step}.png" for i in (0, 1) for step in (2, 4, 6)}
    metrics = evaluate(cfg, tmp_path / "run" / "iter_6.pth", tmp_path / "test")
    assert metrics["MAE"] == metrics["GAME0"] <= metrics["RMSE"]
    table = (tmp_path / "test" / "counts.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in table] == ["true", "0.0", "1.0", "2.0"]


@pytest.mark.slow
def test_image_that_breaks_is_named_and_the_training_goes_on_from_its_checkpoint(
    photographs, tmp_path
):
    cfg, images = photographs
    whole = images[0].read_bytes()

    class Break(Hook):
        def after_train_iter(self, runner, batch_idx, **_):
            if runner.iter == 2:  # iterations 1 to 3 are done, 2 of them in a checkpoint
                for image in images[:4]:
                    image.write_bytes(image.read_bytes()[:400])

    runner = build_runner(cfg, tmp_path / "run", quiet=True)
    runner.register_hook(Break())
    with pytest.raises(DataError, match=r"IMG_\d\.jpg: expected an image.*fetch it again"):
        runner.train()
    assert (tmp_path / "run" / "last_checkpoint").read_text().endswith("iter_2.pth")
    for image in images[:4]:
        image.write_bytes(whole)
    assert train(cfg, tmp_path / "run", resume=True, quiet=True).iter == 6
