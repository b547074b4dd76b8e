"""``tools/predict.py``, ``compare.py`` and ``test.py --tta`` as their user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS

from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.weights import write_network
from tests.helpers import ROOT

CONFIG = ROOT / "configs" / "segmentation" / "toy.py"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    cfg = load_config(CONFIG)
    set_ticket(cfg, "full")
    torch.manual_seed(0)
    file = tmp_path / "segmentor.pth"
    write_network(MODELS.build(cfg.model), file)
    return file


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "a.png"), image)
    return folder


def test_a_segmentor_says_the_largest_shares_and_what_failed(
    run_tool, checkpoint, images, tmp_path
):
    out = tmp_path / "out"
    done = run_tool("predict", CONFIG, checkpoint, images, "--out", out, "--device", "cpu")
    assert done.code == 0, done.err
    share = json.loads((out / "labels.json").read_text())[0]["share"]
    most = max(share, key=share.get)
    first, last = done.out.strip().splitlines()
    assert first.startswith(f"{images / 'a.png'}: {most} {share[most]:.0%}")
    assert last == f"1 of 1 images segmented; overlays, label maps and labels.json in {out}"

    (images / "b.jpg").write_bytes(b"")
    tiles = ("--tile", 40, "--overlap", 8)
    done = run_tool("predict", CONFIG, checkpoint, images, "--out", out, *tiles)
    assert done.code == 1
    assert f"error: {images / 'b.jpg'}: expected an image" in done.out
    assert done.out.strip().endswith(f"in {out}") and "1 of 2 images segmented" in done.out


def test_a_model_that_neither_counts_nor_segments_is_one_line(
    run_tool, checkpoint, images, tmp_path
):
    config = ROOT / "configs" / "classification" / "toy.py"
    done = run_tool("predict", config, checkpoint, images, "--out", tmp_path / "out")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "expected DensityCounter (counting) or EncoderDecoder (segmentation)" in done.err
    assert "found ImageClassifier" in done.err


def test_networks_are_compared_in_one_picture(run_tool, checkpoint, tmp_path):
    few = ("--cfg-options", "test_dataloader.dataset.length=3")
    sheet = tmp_path / "sheet.png"
    networks = (f"one={checkpoint}", f"two={checkpoint}")
    done = run_tool("compare", CONFIG, *networks, "--samples", 0, 2, "--out", sheet, *few)
    assert (done.code, done.out) == (0, f"wrote {sheet}\n"), done.err
    assert cv2.imread(str(sheet)).shape[1] == 8 + 4 * 328
    for wrong, message in (
        ([*networks, "--samples", 3, "--out", sheet, *few], "expected samples from 0 to 2"),
        ([*networks, networks[0], "--out", sheet], "a NAME for each CHECKPOINT, found one twice"),
        ([checkpoint, "--out", sheet], "expected NAME=CHECKPOINT"),
        ([*networks, "--out", "sheet.gif"], "as the name of a .png file, found sheet.gif"),
        (["gone=gone.pth", "--out", "no/sheet.png"], "--out in a folder that exists, found no/sh"),
    ):
        done = run_tool("compare", CONFIG, *wrong)
        assert done.code == 2 and message in done.err and done.err.count("\n") == 1


def test_augmented_samples_are_drawn_before_training(run_tool, tmp_path):
    few = ("--cfg-options", "train_dataloader.dataset.length=4")
    for task in ("segmentation", "crowd_counting"):
        sheet = tmp_path / f"{task}.png"
        arguments = ["augment", ROOT / "configs" / task / "toy.py", "--out", sheet, "--samples", 4]
        done = run_tool("dataset", *arguments, *few)
        assert done.code == 0 and done.err == f"wrote {sheet}\n"
        assert cv2.imread(str(sheet)) is not None
    done = run_tool("dataset", "augment", CONFIG, "--out", "sheet.gif")
    assert done.code == 2 and "expected --out as the name of a .png file" in done.err
    done = run_tool("dataset", "augment", "gone.py", "--out", tmp_path / "no" / "sheet.png")
    assert done.code == 2 and "expected --out in a folder that exists" in done.err
    done = run_tool("dataset", "augment", ROOT / "configs/classification/toy.py", "--out", sheet)
    assert done.code == 2 and "expected a config of segmentation or counting" in done.err


@pytest.mark.parametrize("options", [[], ["--tta"]])
def test_test_time_augmentation_is_set_where_it_is_asked_for(
    run_tool, checkpoint, monkeypatch, options: list[str]
):
    calls = []
    monkeypatch.setattr(
        "ean_transfer.segmentation.tta.set_tta", lambda cfg: calls.append(cfg.filename)
    )
    monkeypatch.setattr("ean_transfer.engine.training.evaluate", lambda *_, **__: {"mIoU": 12.5})
    done = run_tool("test", CONFIG, checkpoint, *options)
    assert (done.code, done.out) == (0, "mIoU: 12.5\n")
    assert calls == [str(CONFIG)] * len(options)
