"""Tiny folders of labelled images, as users have them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

NUMBER = 20  # images of a folder


def write(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), pixels)


def classes_of_images(root: Path, number: int = NUMBER) -> Path:
    """Red and blue images, in one folder per colour."""
    draws = np.random.RandomState(0)
    for channel, name in ((0, "blue"), (2, "red")):
        for index in range(number // 2):
            image = draws.randint(0, 60, (48, 56, 3)).astype(np.uint8)
            image[..., channel] += 150
            write(root / name / f"{index}x.png", image)
    return root


def images_and_masks(root: Path, number: int = NUMBER) -> Path:
    """Bright rectangles on a dark ground, labels 1 and 0."""
    draws = np.random.RandomState(0)
    for index in range(number):
        size = (72, 96) if index % 3 else (66, 90)
        labels = np.zeros(size, np.uint8)
        top, left = draws.randint(0, 40, 2)
        labels[top : top + 20, left : left + 30] = 1
        image = draws.randint(0, 60, (*size, 3)).astype(np.uint8) + 120 * labels[..., None]
        write(root / "images" / f"{index}x.jpg", image)
        write(root / "labels" / f"{index}x.png", labels)
    (root / "classes.txt").write_text("ground\nthing\n")
    return root


def images_and_points(root: Path, number: int = NUMBER) -> Path:
    """Bright dots on a dark ground, and where they are."""
    draws = np.random.RandomState(0)
    lines = ["image,x,y"]
    for index in range(number):
        image = np.full((80 if index % 3 else 90, 100, 3), 30, np.uint8)
        for x, y in draws.randint(4, 76, (draws.randint(1, 6), 2)):
            cv2.circle(image, (int(x), int(y)), 3, (200, 200, 200), -1)
            lines.append(f"photos/{index}x.png,{x},{y}")
        write(root / "photos" / f"{index}x.png", image)
    (root / "points.csv").write_text("\n".join(lines) + "\n")
    return root


MAKERS = {
    "classification": classes_of_images,
    "segmentation": images_and_masks,
    "counting": images_and_points,
}
