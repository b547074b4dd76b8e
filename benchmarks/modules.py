"""Seconds of the attention modules: alone, forward and backward, and in ResNet-50.

::

    python -m benchmarks.modules [--out docs/results/module_speed.json]

Each module is timed against its formula, written out plainly (:mod:`~.literal`), and against
timm's where timm has it. All that is compared takes turns, round by round, and is divided by what
it is compared with in the same round. On one thread the seconds are those of the processor, which
other programs do not lengthen; on more they are the clock's. Tables in Markdown are printed.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torchvision
from timm.layers import EcaModule, SEModule
from timm.layers.cbam import CbamModule
from timm.layers.coord_attn import CoordAttn
from torch import Tensor, nn

from benchmarks.literal import FORMULAS, Literal, Ours
from ean_transfer.analysis.latency import (
    device_name,
    forward_ms_in_turn,
    processor_clock,
    quartiles,
)
from ean_transfer.attention import build_attention
from ean_transfer.backbones.blocks import TicketBottleneck
from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown

STAGES = {256: 56, 512: 28, 1024: 14, 2048: 7}
"""Channels of ResNet-50's stages, and the side of their maps for images of 224 x 224."""
BLOCKS = (3, 4, 6, 3)
BATCH = 8
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
TIMM: dict[str, Callable[[int], nn.Module]] = {
    "SE": lambda channels: SEModule(channels, rd_ratio=1 / 16),
    "ECA": EcaModule,
    "CBAM": lambda channels: CbamModule(channels, rd_ratio=1 / 16, mlp_bias=True),
    "CoordAtt": lambda channels: CoordAttn(channels, rd_channels=max(8, channels // 32), bias=True),
}
"""timm's modules with our hyper-parameters."""
ONE_PRODUCT = "x w"


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles over the rounds."""
    return {"median": median(values), "quartiles": quartiles(values)}


def quotients(times: Sequence[float], base: Sequence[float]) -> list[float]:
    """Round by round."""
    return [t / b for t, b in zip(times, base, strict=True)]


# -- modules alone ------------------------------------------------------------------------------


class OneProduct(nn.Module):
    """One multiplication by a weight per channel, which all times are divided by."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.to(x.dtype)


def modules_of(names: Sequence[str], channels: int) -> dict[str, nn.Module]:
    """One product, and for each name our module, its formula, and timm's."""
    modules: dict[str, nn.Module] = {ONE_PRODUCT: OneProduct(channels)}
    for name in names:
        ours = build_attention(name, channels)
        modules[name] = Ours(ours)
        modules[f"{name}, literal"] = Literal(copy.deepcopy(ours))
        if name in TIMM:
            modules[f"{name}, timm"] = TIMM[name](channels)
    for module in modules.values():
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.1)
    return modules


def forward_and_backward(module: nn.Module, x: Tensor, direction: Tensor) -> Callable[[], Any]:
    """A call that computes the gradients of a module's input and parameters."""
    x = x.detach().requires_grad_()
    leaves = [x, *module.parameters()]
    amp = x.dtype == torch.bfloat16

    def call() -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            y = module(x)
        return torch.autograd.grad(y, leaves, direction.to(y.dtype))

    return call


def module_times(names: Sequence[str], layout: str, rounds: int, amp: bool) -> dict[str, Any]:
    """Forward and backward in training over one product, per stage and for all four together."""
    dtype = torch.bfloat16 if amp else torch.float32
    together: dict[str, list[float]] = {}
    results: dict[str, dict[str, Any]] = {}
    for channels, side in STAGES.items():
        x, direction = torch.randn(2, BATCH, channels, side, side).to(dtype)
        x, direction = (t.contiguous(memory_format=LAYOUTS[layout]) for t in (x, direction))
        calls = {
            name: forward_and_backward(module, x, direction)
            for name, module in modules_of(names, channels).items()
        }
        ms = forward_ms_in_turn(calls, (), rounds, clock=processor_clock)
        for name, times in ms.items():
            ratio = summary(quotients(times, ms[ONE_PRODUCT]))
            results.setdefault(name, {})[f"{channels}x{side}x{side}"] = ratio
            so_far = together.get(name, [0.0] * rounds)
            together[name] = [a + b for a, b in zip(so_far, times, strict=True)]
    for name, times in together.items():
        results[name]["together"] = summary(quotients(times, together[ONE_PRODUCT]))
    return results


# -- in ResNet-50 --------------------------------------------------------------------------------


def ends_of(names: Sequence[str], channels: int, side: int, batch: int) -> dict[str, Any]:
    """The ends of a stage's blocks, from the last BatchNorm on, without attention and with it.

    Returns:
        ``plain``, and for each name: the formula and our module as layers behind the BatchNorm of
        torchvision's block, which adds the shortcut in place; and the toolkit's block.
    """
    z, shortcut = torch.randn(2, batch, channels, side, side)
    block = TicketBottleneck(channels, channels).eval()

    def added(branch: Tensor) -> Tensor:
        return torch.relu_(branch.add_(shortcut))

    ends: dict[str, Any] = {"plain": lambda: added(block.normalise(z))}
    for name in names:
        ours = build_attention(name, channels).eval()
        for arm, layer in {"literal": Literal(ours), "ours": Ours(ours)}.items():
            ends[f"{name}, {arm}"] = lambda layer=layer: added(layer(block.normalise(z)))
        ends[f"{name}, toolkit"] = partial(_attend, block, ours, z, shortcut)
    return ends


def _attend(block: Any, attention: nn.Module, z: Tensor, shortcut: Tensor) -> Any:
    return block.attend(attention, block.normalise(z), None, shortcut)


@torch.inference_mode()
def network_times(names: Sequence[str], batch: int, rounds: int) -> dict[str, Any]:
    """What attention at every block adds to the forward of ResNet-50 without its head.

    Timed is only what differs: the ends of the blocks, stage by stage, times the number of blocks.
    Differences between whole forwards, whose convolutions take ten times as long, vanish in the
    noise of a shared machine. ``plain`` is such a whole forward, for comparison.

    Returns:
        ``plain``, in ms; and for each name ms of each arm, see :func:`ends_of`, and the ratios.
    """
    network = torchvision.models.resnet50().eval()
    network.avgpool = network.fc = nn.Identity()
    images = torch.randn(batch, 3, 224, 224)
    whole = forward_ms_in_turn({"": network}, (images,), rounds, clock=processor_clock)[""]
    increments: dict[str, float] = {}
    for (channels, side), blocks in zip(STAGES.items(), BLOCKS, strict=True):
        ends = ends_of(names, channels, side, batch)
        ms = forward_ms_in_turn(ends, (), rounds, clock=processor_clock)
        plain = ms.pop("plain")
        for name, times in ms.items():
            more = median(t - p for t, p in zip(times, plain, strict=True))
            increments[name] = increments.get(name, 0.0) + blocks * more
    results: dict[str, Any] = {"plain": median(whole)}
    for name in names:
        arms = {arm: increments[f"{name}, {arm}"] for arm in ("literal", "ours", "toolkit")}
        over = {f"{arm} over literal": arms[arm] / arms["literal"] for arm in ("ours", "toolkit")}
        results[name] = arms | over
    return results


# -- tables ----------------------------------------------------------------------------------------


def module_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row per module and implementation."""
    shapes = list(results[ONE_PRODUCT])
    rows = [["forward and backward over one product", *shapes]]
    for name, ratios in results.items():
        rows.append([name, *(f"{ratios[shape]['median']:.2f}" for shape in shapes)])
    return rows


def network_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row per module."""
    rows = [["ResNet-50", "literal", "ours", "toolkit", "ours/literal", "toolkit/literal"]]
    plain = results["plain"]
    for name, row in results.items():
        if name != "plain":
            shares = (f"+{row[arm] / plain:.1%}" for arm in ("literal", "ours", "toolkit"))
            over = (row[f"{arm} over literal"] for arm in ("ours", "toolkit"))
            rows.append([name, *shares, *(f"{o:.2f}" for o in over)])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--modules", nargs="+", default=list(FORMULAS), choices=list(FORMULAS))
    parser.add_argument("--rounds", type=int, default=40, help="rounds of the modules alone")
    parser.add_argument(
        "--amp", action="store_true", help="the modules alone in mixed precision, of bfloat16"
    )
    parser.add_argument("--layouts", nargs="*", default=list(LAYOUTS), choices=list(LAYOUTS))
    parser.add_argument(
        "--network-rounds", type=int, default=20, help="rounds of ResNet-50's blocks"
    )
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8], help="images per forward")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    results: dict[str, Any] = {
        "about": {
            "torch": torch.__version__,
            "processor": device_name(torch.device("cpu")),
            "threads": chosen.threads,
            "rounds": chosen.rounds,
            "amp": chosen.amp,
            "network_rounds": chosen.network_rounds,
        },
        "modules": {},
        "resnet50": {},
    }
    for layout in chosen.layouts:
        results["modules"][layout] = module_times(chosen.modules, layout, chosen.rounds, chosen.amp)
        print(layout, markdown(module_rows(results["modules"][layout])), sep="\n\n", flush=True)
    for batch in chosen.batches:
        times = network_times(chosen.modules, batch, chosen.network_rounds)
        results["resnet50"][str(batch)] = times
        print(f"batch {batch}", markdown(network_rows(times)), sep="\n\n", flush=True)
    if chosen.out:
        write_atomically(chosen.out, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
