"""What a step of a search costs where the held-out images do not fit into memory.

Made JPEG images are scored under masks of a small network with SE, with the images in memory, on
the disk (:mod:`ean_transfer.supernet.on_disk`) and decoded anew in each step::

    python -m benchmarks.large_held_out --images 100 200 400 --masks 1 2 \\
        --out docs/results/large_held_out.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from ean_transfer import attach
from ean_transfer.io.files import write_atomically
from ean_transfer.supernet import MaskEvaluator, find_backbone
from ean_transfer.supernet.scoring import LossScorer
from ean_transfer.ticket.mask import all_masks

SIDE, BATCH, CLASSES = 224, 100, 10
MEAN, SPREAD = 118.0, 58.0
ARMS = ("memory", "disk", "decoded")


class Photographs(Dataset):
    """Made JPEG files of about the size of ImageNet's, decoded to (3, 224, 224) bytes."""

    def __init__(self, folder: Path, number: int) -> None:
        generator = np.random.default_rng(0)
        self.files = [folder / f"{index:06d}.jpg" for index in range(number)]
        for file in self.files:
            coarse = generator.integers(0, 256, (48, 48, 3), dtype=np.uint8)
            picture = cv2.resize(coarse, (500, 375), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(file), picture)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture: Any = cv2.imread(str(self.files[index]))
        return torch.from_numpy(cv2.resize(picture, (SIDE, SIDE))).permute(
            2, 0, 1
        ).contiguous(), index % CLASSES


class Scaled(torch.nn.Module):
    """A small network of bytes, which are normalised on its device."""

    def __init__(self) -> None:
        super().__init__()
        self.body: Any = timm.create_model(
            "resnet10t", num_classes=CLASSES, channels=(8, 16, 32, 64), stem_width=8
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body((x.float() - MEAN) / SPREAD)


def measure(images: list[int], masks: list[int], rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Processor seconds of a step with each arm, number of images and number of masks."""
    torch.manual_seed(0)
    model = attach(Scaled(), {"type": "SE", "reduction": 4}).to(memory_format=torch.channels_last)
    data = Photographs(folder, max(images))
    chosen = list(all_masks(find_backbone(model).ticket.num_blocks))[: max(masks)]
    evaluators = {
        (arm, number): MaskEvaluator(
            model,
            DataLoader(data, batch_size=BATCH),
            LossScorer(F.cross_entropy),
            images=number,
            max_cached_bytes=2e9 if arm == "memory" else 1,
            folder=folder if arm == "disk" else None,
        )
        for arm in ARMS
        for number in images
    }
    seconds: dict[tuple[str, int, int], list[float]] = {}
    for evaluator in evaluators.values():  # the first call finds out whether the images fit
        evaluator.scores(chosen[:1])
        evaluator.scores(chosen[:1])
    for _ in range(rounds):
        for (arm, number), evaluator in evaluators.items():
            for count in masks:
                start = time.process_time()
                evaluator.scores(chosen[:count])
                taken = time.process_time() - start
                seconds.setdefault((arm, number, count), []).append(taken)
    return [
        {
            "arm": arm,
            "images": number,
            "masks": count,
            "seconds": statistics.median(values),
            "all_seconds": values,
        }
        for (arm, number, count), values in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--masks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments.images, arguments.masks, arguments.rounds, Path(folder))
    result = {"side": SIDE, "batch": BATCH, "rows": rows}
    write_atomically(arguments.out, json.dumps(result, indent=1) + "\n")
    for row in rows:
        print(
            f"{row['arm']:8} {row['images']:6} images {row['masks']:3} masks {row['seconds']:.2f} s"
        )


if __name__ == "__main__":
    main()
