"""``predict`` as its user meets it: what is printed, what is written, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ("classification/toy.py", (), "found ImageClassifier"),
        ("segmentation/toy.py", ("--overlap", 8), "--tile"),
    ],
    ids=str,
)
def test_what_cannot_be_predicted_is_one_line(
    run_tool, segmentor: Path, images: Path, tmp_path: Path, config: str, options, message: str
) -> None:
    typed = (CONFIGS / config, segmentor, images, "--out-dir", tmp_path / "out", *options)
    done = run_tool("predict", *typed)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1
