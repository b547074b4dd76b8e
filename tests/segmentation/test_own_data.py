"""The page on one's own data: its conversion and its config run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ean_transfer.engine.config import load_config
from ean_transfer.engine.training import evaluate, train
from ean_transfer.errors import DataError
from tests.helpers import CONFIGS, ROOT

PAGE = (ROOT / "docs/own_segmentation.md").read_text(encoding="utf-8")
CONVERSION, CONFIG, WEIGHTS, EXIF = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images of one bright square each, their masks of 0 and 255, and the configs."""
    generator = np.random.default_rng(0)
    for part, number in (("train", 4), ("val", 2)):
        for folder in ("images", "masks"):
            (tmp_path / "data/mine" / part / folder).mkdir(parents=True)
        for i in range(number):
            mask = np.zeros((48, 64), np.uint8)
            mask[8:40, 8 * i : 8 * i + 24] = 255
            image = (mask[..., None] // 2 + generator.integers(0, 99, (48, 64, 3))).astype(np.uint8)
            kind = "JPG" if i % 2 else "png"
            Image.fromarray(image).save(tmp_path / f"data/mine/{part}/images/{i}.{kind}")
            Image.fromarray(mask).save(tmp_path / f"data/mine/{part}/masks/{i}.png")
    (tmp_path / "configs/segmentation").mkdir(parents=True)
    (tmp_path / "configs/_base_").symlink_to(CONFIGS / "_base_")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(project: Path, text: str):
    file = project / "configs/segmentation/mine.py"
    file.write_text(text)
    cfg = load_config(file)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.checkpoint.interval = 2
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.val_dataloader.dataset.pipeline):
        for step in pipeline:
            if "scale" in step:
                step.scale = (64, 48)
    return cfg


@pytest.mark.slow
def test_masks_are_refused_and_converted_and_the_config_trains(project: Path) -> None:
    for part in ("train", "val"):
        (project / "data/mine" / part / "masks").rename(project / "data/mine" / part / "labels")
    with pytest.raises(DataError, match="found cell in none of 4 label files"):
        train(small(project, CONFIG), project / "refused", quiet=True)
    for part in ("train", "val"):
        (project / "data/mine" / part / "labels").rename(project / "data/mine" / part / "masks")

    exec(CONVERSION, {})
    with Image.open(project / "data/mine/train/labels/0.png") as labels:
        assert np.unique(labels).tolist() == [0, 1]
    cfg = small(project, CONFIG + WEIGHTS + EXIF)
    assert cfg.model.decode_head.loss_decode.class_weight == [0.3, 4.0]
    assert cfg.tta_pipeline[0].exif == cfg.val_dataloader.dataset.pipeline[0].exif == "apply"
    runner = train(cfg, project / "run", quiet=True)
    assert len(runner.train_dataloader.dataset) == 4  # two of them with a suffix in capitals
    assert all(torch.isfinite(value).all() for value in runner.model.state_dict().values())
    scores = evaluate(cfg, project / "run/iter_2.pth", project / "test")
    assert {"mIoU", "IoU.background", "IoU.cell"} <= scores.keys()
