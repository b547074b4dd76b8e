"""``optimize``: a trained network made fast for inference, and checked against the original."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ean_transfer.analysis.latency import (
    forward_ms_in_turn,
    inputs_of,
    processor_clock,
    random_images,
)
from ean_transfer.analysis.variants import compiled_alone
from ean_transfer.asr.folding import fold
from ean_transfer.attachment.batchnorm import fold_norms, norms_of
from ean_transfer.attachment.compiled import require_uncompiled
from ean_transfer.attachment.network import evaluating, find_ticket, unwrapped
from ean_transfer.attachment.places import EXAMPLE_SHAPE
from ean_transfer.errors import EANError

TOLERANCE = 1e-4
"""Largest difference, see :class:`Optimized`, of a network that is handed out."""
TOLERANCES = {torch.float16: 1e-2, torch.bfloat16: 8e-2}
"""The same of a network with parameters of fewer bits; bfloat16 is 8 times as coarse as float16."""
_WINS = 0.97  # of the time: what channels-last must stay below to be worth another layout
_ROUNDS = 10


@dataclass(frozen=True)
class Optimized:
    """A network made fast for inference, and what was done to it.

    Attributes:
        model: The network, in eval mode.
        folded_norms: Name of each BatchNorm that was folded -> its convolution's.
        norms: Number of BatchNorms before.
        folded_attention: Number of blocks whose re-parameterised attention was folded.
        channels_last: Whether its weights are channels-last.
        compiled: Whether it is compiled.
        difference: Largest difference of an output from the original network's, over the largest
            value of that output (or over 1, if that is smaller).
    """

    model: nn.Module
    folded_norms: dict[str, str]
    norms: int
    folded_attention: int
    channels_last: bool
    compiled: bool
    difference: float

    def __str__(self) -> str:
        done = [f"{len(self.folded_norms)} of {self.norms} BatchNorms folded"]
        if self.folded_attention:
            done.append(f"attention of {self.folded_attention} blocks folded")
        if self.channels_last:
            done.append("channels-last")
        if self.compiled:
            done.append("compiled")
        return (
            f"optimized for inference: {', '.join(done)}; largest difference from the network as "
            f"it was {self.difference:.1e}"
        )


def optimize(
    model: nn.Module,
    example: Any = None,
    *,
    channels_last: bool | None = None,
    compiled: bool = False,
) -> nn.Module:
    """Make a trained network fast for inference; log in one line what was done.

    BatchNorm is folded into the convolution before it where that is certain
    (:mod:`ean_transfer.attachment.batchnorm`), also in front of attention, which stays;
    re-parameterised attention is folded (:func:`ean_transfer.asr.fold`). The result is run on the
    example and compared with the network as it was.

    Args:
        model: Any network, with attention or without; left as it is.
        example: What it is called with, on its device: one tensor of images (N, C, H, W), or a
            tuple of all arguments. ``None``: random images (1, 3, 224, 224).
        channels_last: Whether the weights are channels-last; ``None``: where it is measured to be
            faster, on this device and with the example.
        compiled: Whether the result is compiled by ``torch.compile`` for inputs of the example's
            shape; it takes no others as fast, and cannot be saved.

    Returns:
        A copy in eval mode, to be called and saved like the model; its state dict lacks what is
        folded.

    Raises:
        ConfigError: The model is compiled already, or torch cannot compile it.
        EANError: An output would differ by more than :data:`TOLERANCE` (:data:`TOLERANCES`) of its
            largest value, or there is none to compare.
    """
    result = optimized(model, example, channels_last=channels_last, compiled=compiled)
    print_log(str(result), logger="current")
    return result.model


@torch.no_grad()
def optimized(
    model: nn.Module,
    example: Any = None,
    *,
    channels_last: bool | None = None,
    compiled: bool = False,
) -> Optimized:
    """As :func:`optimize`, with what was done."""
    model = unwrapped(model)
    require_uncompiled(model, False, "optimize()")
    inputs = inputs_of(random_images(model, EXAMPLE_SHAPE) if example is None else example)
    with evaluating(model):
        expected = _tensors(model(*inputs))
    if not expected:
        raise EANError(
            f"{type(model).__name__}: expected floating-point tensors among its outputs to compare "
            "once optimized, found none with values: give an example for which it returns some, or "
            "optimize the part that does"
        )
    ticket = find_ticket(model)
    folded = ticket.to_fold if ticket else 0
    fast = (fold(model) if folded else copy.deepcopy(model)).eval()
    norms = len(norms_of(fast))
    names = fold_norms(fast, inputs)
    last = faster_channels_last(fast, inputs) if channels_last is None else channels_last
    if last:
        fast = fast.to(memory_format=torch.channels_last)
    if compiled:
        fast = _Compiled(fast, inputs)
    difference = _difference(_tensors(fast(*inputs)), expected)
    allowed = max([TOLERANCE, *(TOLERANCES.get(p.dtype, 0.0) for p in model.parameters())])
    if not difference <= allowed:  # a NaN is not below it
        raise EANError(
            f"{type(model).__name__}: expected the same outputs once optimized, found them to "
            f"differ by {difference:.1e} of the largest (at most {allowed:.0e}): use it as it is"
        )
    return Optimized(fast, names, norms, folded, last, compiled, difference)


@torch.no_grad()
def faster_channels_last(model: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether a model's forward is measured to be faster with channels-last weights."""
    last = copy.deepcopy(model)
    try:
        last.to(memory_format=torch.channels_last)
        both = {"as it is": model, "channels-last": last}
        ms = forward_ms_in_turn(both, inputs, _ROUNDS, clock=processor_clock)
    except RuntimeError:  # 3D convolutions, or a view that this layout does not allow
        return False
    return median(b / a for a, b in zip(*ms.values(), strict=True)) < _WINS


class _Compiled(nn.Module):
    """A network whose forward is compiled."""

    def __init__(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        super().__init__()
        self.network = network
        self.run = compiled_alone(network, inputs)
        self.eval()

    def forward(self, *inputs: Any) -> Any:
        return self.run(*inputs)


def _difference(outputs: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference of an output from what is expected, over that output's largest.

    Outputs of other shapes are infinitely far, as of a detector that finds one object more.
    """
    if [output.shape for output in outputs] != [wanted.shape for wanted in expected]:
        return math.inf
    worst = torch.zeros(())
    for actual, wanted in zip(outputs, expected, strict=True):
        scale = wanted.abs().amax().clamp(min=1)
        # maximum and not max(): a NaN must stay, and compares as False with everything.
        worst = torch.maximum(worst, ((actual - wanted).abs().amax() / scale).float().cpu())
    return float(worst)


def _tensors(outputs: Any) -> list[Tensor]:
    leaves = (leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))
    return [leaf for leaf in leaves if leaf.is_floating_point() and leaf.numel()]
