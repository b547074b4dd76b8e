"""``predict`` as its user meets it: what is printed, what is written, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS

from ean_transfer.engine.config import load_config
from ean_transfer.engine.weights import write_network
from tests.helpers import CONFIGS

CONFIG = CONFIGS / "segmentation" / "toy.py"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "a.png"), image)
    return folder


def test_the_largest_shares_and_unreadable_images_are_said(
    run_tool, segmentor: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    typed = (CONFIG, segmentor, images, "--out-dir", out)
    done = run_tool("predict", *typed, "--device", "cpu")
    assert done.code == 0, done.err
    share = json.loads((out / "labels.json").read_text())[0]["share"]
    most = max(share, key=share.get)
    first, last = done.out.strip().splitlines()
    assert first.startswith(f"{images / 'a.png'}: {most} {share[most]:.0%}")
    assert last == f"1 of 1 images segmented; overlays, label maps and labels.json in {out}"

    (images / "b.jpg").write_bytes(b"")
    done = run_tool("predict", *typed, "--tile", 40, "--overlap", 8)
    assert done.code == 1 and f"error: {images / 'b.jpg'}: " in done.out
    assert "1 of 2 images segmented" in done.out.splitlines()[-1]


def test_a_work_dir_is_used_with_the_checkpoint_that_is_named(
    run_tool, segmentor: Path, images: Path, tmp_path: Path
) -> None:
    cfg = load_config(CONFIG)
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    cfg.dump(work_dir / "toy.py")
    torch.manual_seed(1)
    write_network(MODELS.build(cfg.model), work_dir / "epoch_1.pth")
    lines = [
        run_tool("predict", *network, images, "--out-dir", tmp_path / "out").out
        for network in ((work_dir,), (work_dir, segmentor), (CONFIG, segmentor))
    ]
    assert lines[0] != lines[1] == lines[2]


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("classification/toy.py", (), "another network"),
        ("segmentation/toy.py", ("--overlap", 8), "--tile"),
        ("segmentation/toy.py", ("--top", 3), "top: expected a network of classification"),
        ("segmentation/toy.py", ("--every", 0), "--every"),
        ("segmentation/toy.py", ("--every", 2), "--every is for videos"),
        ("segmentation/toy.py", ("gone.mp4",), "gone.mp4: expected a video, found no such file"),
    ],
    ids=str,
)
def test_what_cannot_be_predicted_is_one_line(
    run_tool, segmentor: Path, images: Path, tmp_path: Path, config: str, options, message: str
) -> None:
    typed = (CONFIGS / config, segmentor, images, *options, "--out-dir", tmp_path / "out")
    done = run_tool("predict", *typed)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


def test_results_are_json_lines_for_programs(
    run_tool, segmentor: Path, images: Path, tmp_path: Path
) -> None:
    (images / "b.jpg").write_bytes(b"")
    out = tmp_path / "out"
    typed = (CONFIG, segmentor, images, "--out-dir", out, "--json", "--sheet", tmp_path / "s.png")
    done = run_tool("predict", *typed, "--device", "cpu")
    good, bad = map(json.loads, done.out.splitlines())
    (row, _) = json.loads((out / "labels.json").read_text())
    assert good == {"image": str(images / "a.png"), "share": row["share"]}
    assert done.code == 1 and bad["image"] in bad["error"]
    assert cv2.imread(str(tmp_path / "s.png")) is not None


def test_a_network_without_images_is_one_line(run_tool, segmentor: Path, tmp_path: Path) -> None:
    for inputs in ((CONFIG,), (CONFIG, segmentor), (tmp_path,), (tmp_path / "net.onnx",)):
        done = run_tool("predict", *inputs, "--out-dir", tmp_path / "out")
        assert done.code == 2 and "and then images" in done.err and done.err.count("\n") == 1
