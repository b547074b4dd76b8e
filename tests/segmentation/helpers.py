"""A small data set of image and label files, ways to break them, and batches of noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Resize
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs
from mmseg.structures import SegDataSample
from PIL import Image

from ean_transfer.data.loading import LoadImage
from ean_transfer.segmentation.datasets import CheckedSegDataset
from ean_transfer.segmentation.loading import CheckedAnnotations

TRAIN = [{"type": LoadImage}, {"type": CheckedAnnotations}, {"type": PackSegInputs}]
TEST = [
    {"type": LoadImage},
    {"type": Resize, "scale": (32, 24), "keep_ratio": True},
    {"type": CheckedAnnotations},
    {"type": PackSegInputs},
]
PREFIX = {"img_path": "train/images", "seg_map_path": "train/labels"}
IMAGE, LABEL = "train/images/1.jpg", "train/labels/1.png"
ZEROS = np.zeros((48, 64), np.uint8)


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


def open_dataset(
    root: Path, pipeline: list[dict[str, Any]] = TRAIN, **options: Any
) -> CheckedSegDataset:
    defaults = {"data_prefix": PREFIX, "metainfo": {"classes": tuple("abcde")}}
    return CheckedSegDataset(data_root=str(root), pipeline=pipeline, **{**defaults, **options})


def saves(values: Any, kind: str = "PNG") -> Callable[[Path], None]:
    """A function that saves these values to a file."""
    return lambda path: Image.fromarray(np.asarray(values)).save(path, format=kind)


def noise_batch(
    num_classes: int, height: int = 32, width: int = 32, seed: int = 0
) -> dict[str, list[Any]]:
    """Two images of noise with random labels, a row of which is ignored."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, 3, height, width), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, num_classes, (2, 1, height, width), generator=generator)
    labels[:, :, 0] = 255
    size = {"ori_shape": (height, width), "img_shape": (height, width)}
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=size) for label in labels]
    return {"inputs": list(images), "data_samples": samples}
