"""``tools/dataset.py to-8-bits`` as its user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ean_transfer.io.images import read_image


def test_the_printed_command_scales_further_images_alike(
    run_tool: Callable[..., Any], tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(100, 4000, (40, 50), dtype=np.uint16)
    (tmp_path / "deep").mkdir()
    (tmp_path / "more").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "a.png"), values)
    cv2.imwrite(str(tmp_path / "more" / "b.png"), values // 2)
    done = run_tool("dataset", "to-8-bits", tmp_path / "deep", "--out-dir", tmp_path / "out")
    assert done.code == 0 and "1 image; " in done.out and "became 255" in done.out
    limits = done.out.split("--limits ")[1].split()
    more = ["dataset", "to-8-bits", tmp_path / "more", "--out-dir", tmp_path / "further"]
    again = run_tool(*more, "--limits", *limits, "--json")
    assert json.loads(again.out)["low"] == float(limits[0])
    both = (read_image(tmp_path / name) for name in ("out/a.png", "further/b.png"))
    first, second = (image.astype(int).max() for image in both)
    assert first == 255 and 120 < second < 128
    refused = run_tool(*more)
    assert refused.code == 2 and "expected nothing of that name yet" in refused.err


def test_printed_limits_are_no_options(run_tool: Callable[..., Any], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0.0, 1e-5, (40, 50)).astype(np.float32)
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "a.tiff"), values)
    done = run_tool("dataset", "to-8-bits", tmp_path / "deep", "--out-dir", tmp_path / "out")
    limits = done.out.split("--limits ")[1].split()
    assert limits[0].startswith("-0.0000")
    again = ["dataset", "to-8-bits", tmp_path / "deep", "--out-dir", tmp_path / "again"]
    assert run_tool(*again, "--limits", *limits).code == 0
    images = [read_image(tmp_path / name / "a.tiff").astype(int) for name in ("out", "again")]
    assert abs(images[0] - images[1]).max() <= 1
