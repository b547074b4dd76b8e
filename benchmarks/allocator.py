"""Seconds of a training step by what the C library does with freed memory.

python -m benchmarks.allocator [--rounds 3] [--out docs/results/allocator.json]

Each measurement is a new process on one thread that counts its own processor seconds, the pages
that the system gave it, and its largest size. The arms take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import timm
import torch
from torch import nn

from ean_transfer import attach, build_backbone
from ean_transfer.io.allocator import keep_freed_memory
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown

ARMS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "below a Dask worker": {"MALLOC_TRIM_THRESHOLD_": "65536"},  # set by Dask's nanny
    "kept": {},
}
"""Arm -> what is added to the environment of its process."""
STEPS, WARM_UP = 6, 2


def lite0() -> nn.Module:
    """EfficientNet-Lite0 with SE, as in the studies of fine-tuning."""
    return attach(timm.create_model("efficientnet_lite0"), dict(type="SE", hidden_divisor=8))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "EfficientNet-Lite0, 4 x 256 x 256": (lite0, (4, 3, 256, 256)),
    "ResNet-50, 4 x 224 x 224": (lambda: build_backbone("resnet50", "SE"), (4, 3, 224, 224)),
    "ResNet-20, 128 x 32 x 32": (
        lambda: build_backbone("resnet20_cifar", dict(type="SE", reduction=4)),
        (128, 3, 32, 32),
    ),
}


def train(name: str) -> dict[str, float]:
    """Train a few steps on random images; per step seconds and new pages; and MB at the most."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    network = build().train()
    optimizer = torch.optim.AdamW(network.parameters())
    images = torch.randn(shape)
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            start, pages = time.process_time(), _usage().ru_minflt
        outputs: Any = network(images)
        outputs = outputs[-1] if isinstance(outputs, tuple) else outputs
        outputs.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return {
        "seconds": (time.process_time() - start) / STEPS,
        "pages": (_usage().ru_minflt - pages) / STEPS,
        "megabytes": _usage().ru_maxrss / 1024,
    }


def _usage() -> Any:
    return resource.getrusage(resource.RUSAGE_SELF)


def measure(rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Network -> arm -> the medians over the rounds."""
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    for _ in range(rounds):
        for name in NETWORKS:
            for arm, added in ARMS.items():
                command = [sys.executable, "-m", "benchmarks.allocator", "--arm", arm, name]
                run = subprocess.run(
                    command, env=os.environ | added, capture_output=True, text=True, check=True
                )
                runs.setdefault(name, {}).setdefault(arm, []).append(json.loads(run.stdout))
    return {
        name: {
            arm: {key: median(one[key] for one in several) for key in several[0]}
            for arm, several in arms.items()
        }
        for name, arms in runs.items()
    }


def rows(results: dict[str, dict[str, dict[str, float]]]) -> list[list[str]]:
    """One row per network and arm."""
    table = [["one step of training", "freed memory", "seconds", "of as it comes", "pages", "MB"]]
    for name, arms in results.items():
        for arm, one in arms.items():
            ratio = one["seconds"] / arms["as it comes"]["seconds"]
            figures = f"{one['seconds']:.2f}", f"{ratio:.2f}", f"{one['pages']:,.0f}"
            table.append([name, arm, *figures, f"{one['megabytes']:,.0f}"])
    return table


def main() -> None:
    """Measure, print and write; or one measurement in this process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--arm", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.arm:
        arm, name = chosen.arm
        if arm == "kept":
            keep_freed_memory()
        print(json.dumps(train(name)))
        return
    results = measure(chosen.rounds)
    print(markdown(rows(results)))
    if chosen.out:
        write_atomically(chosen.out, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
