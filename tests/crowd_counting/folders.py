"""Writers of tiny data sets in their published formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.io

WIDTH, HEIGHT = 64, 48
Points = Sequence[tuple[float, float]]
Images = Mapping[int, Points]
"""Points of each image by its number."""


def write_image(path: Path) -> None:
    """An image of noise, so that half of its file is half of its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    cv2.imwrite(str(path), noise)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_shanghaitech(root: Path, images: Images, split: str = "train") -> Path:
    folder = root / "part_B" / f"{split}_data"
    (folder / "ground-truth").mkdir(parents=True, exist_ok=True)
    for number, points in images.items():
        write_image(folder / f"images/IMG_{number}.jpg")
        # The nesting of the published files: image_info[0,0]['location'][0,0]
        info = np.empty((1, 1), dtype=[("location", object), ("number", object)])
        info[0, 0] = (np.array(points, dtype=float), len(points))
        outer = np.empty((1, 1), dtype=object)
        outer[0, 0] = info
        scipy.io.savemat(folder / f"ground-truth/GT_IMG_{number}.mat", {"image_info": outer})
    return folder


def write_qnrf(root: Path, images: Images, split: str = "train") -> Path:
    folder = root / split.capitalize()
    for number, points in images.items():
        write_image(folder / f"img_{number:04d}.jpg")
        scipy.io.savemat(folder / f"img_{number:04d}_ann.mat", {"annPoints": points})
    return folder


def write_jhu(root: Path, images: Images, split: str = "train") -> Path:
    for number, points in images.items():
        write_image(root / split / f"images/{number:04d}.jpg")
        lines = [f"{x} {y} 12 14 1 0\n" for x, y in points]
        write_text(root / split / f"gt/{number:04d}.txt", "".join(lines))
    return root / split


def nwpu_json(number: int, points: Points, **changes: Any) -> str:
    content = {"img_id": f"{number:04d}.jpg", "human_num": len(points), "points": points}
    return json.dumps(content | {"boxes": [[1, 1, 2, 2]] * len(points)} | changes)


def write_nwpu(root: Path, images: Images, split: str = "train") -> Path:
    for number, points in images.items():
        part = "images" if number < 10 else "images_part5"
        write_image(root / part / f"{number:04d}.jpg")
        write_text(root / f"jsons/{number:04d}.json", nwpu_json(number, points))
    write_text(root / f"{split}.txt", "".join(f"{number:04d} 0 2\n" for number in images))
    return root


def write_dots(root: Path, images: Images, split: str = "") -> Path:
    for number, points in images.items():
        write_image(root / f"{number:03d}cell.png")
        dots = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for x, y in points:
            dots[int(y), int(x)] = (0, 0, 255)
        cv2.imwrite(str(root / f"{number:03d}dots.png"), dots)
    return root
