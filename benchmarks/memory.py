"""What ``memory="lean"`` saves and costs, on ResNet-50::

    python -m benchmarks.memory
    python -m benchmarks.memory --times SE SGE CBAM

print the tables of docs/training.md. The first one counts the bytes kept for the backward pass and
computes nothing: its tensors are on torch's device ``meta``. The second one measures the processor
time of forward and backward, the networks taking turns.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import nn

from ean_transfer import build_backbone
from ean_transfer.analysis.memory import bytes_saved_for_backward
from ean_transfer.io.tables import markdown
from ean_transfer.registry import ATTENTION

NETWORK, MEMORY = "resnet50", ("default", "lean")
NAMES = sorted(set(ATTENTION.module_dict) - {"ASR"})


def build(attention: str | None, memory: str = "default") -> nn.Module:
    """The network with an attention in every block, or with none."""
    return build_backbone(NETWORK, attention, memory=memory).train()


def kept() -> list[list[str]]:
    """Table of the bytes kept, over those without attention, 8 images of 224 x 224 pixels."""
    images = torch.empty(8, 3, 224, 224, device="meta")
    plain = bytes_saved_for_backward(build(None).to("meta"), images)
    print(f"without attention: {plain / 1e6:.0f} MB")
    rows = [["attention", *MEMORY]]
    for name in NAMES:
        sizes = [bytes_saved_for_backward(build(name, m).to("meta"), images) for m in MEMORY]
        rows.append([name, *(f"{size / plain:.2f}" for size in sizes)])
    return rows


def times(names: list[str], rounds: int) -> list[list[str]]:
    """Table of the time of a step, over that without attention, 4 images of 112 x 112 pixels."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = torch.randn(4, 3, 112, 112)
    arms = [(name, memory) for name in names for memory in MEMORY]
    networks: dict[object, nn.Module] = {None: build(None)}
    networks |= {arm: build(*arm) for arm in arms}
    seconds: dict[object, list[float]] = {arm: [] for arm in networks}
    for _ in range(rounds + 1):
        for arm, network in networks.items():
            start = time.process_time()
            network(images)[-1].sum().backward()
            seconds[arm].append(time.process_time() - start)

    def ratio(arm: object) -> str:
        pairs = zip(seconds[arm][1:], seconds[None][1:], strict=True)  # the first one warms up
        return f"{statistics.median(one / plain for one, plain in pairs):.2f}"

    return [
        ["attention", *MEMORY],
        *([name, *(ratio((name, m)) for m in MEMORY)] for name in names),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", nargs="+", metavar="ATTENTION", choices=NAMES)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(markdown(times(arguments.times, arguments.rounds) if arguments.times else kept()))


if __name__ == "__main__":
    main()
