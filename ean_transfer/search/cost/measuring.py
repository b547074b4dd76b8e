"""Counts and times what each connection of a supernet adds: parameters, operations, ms."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from ean_transfer.analysis.latency import clock, forward_seconds
from ean_transfer.attention import Attention
from ean_transfer.io.checked import Positive

if TYPE_CHECKING:
    from ean_transfer.backbones import TicketBackbone

ImageShape = Annotated[Sequence[Positive], Field(min_length=4, max_length=4)]
"""(N, C, H, W) of a batch of images."""
Rounds = Annotated[int, Field(ge=2)]
"""Number of times that everything is measured, at least 2 for quartiles."""
Method = Literal["toggle", "within"]
"""How latencies are measured, see :func:`measure_latency`."""

_WARM_UP = 3  # forwards before any is timed


class Measurement(BaseModel):
    """Circumstances under which latencies were measured, and their spread."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    device: str
    torch: str
    threads: int
    input_shape: tuple[int, ...]  # (N, C, H, W)
    method: str
    rounds: int
    plain_quartiles: tuple[float, float]  # ms; first and third, over the rounds
    quartiles: tuple[tuple[float, float], ...]  # ms; of the increment of each connection built
    full: float  # ms, measured and not summed: tells how additive the connections are


# -- parameters and multiply-accumulates -----------------------------------------------------


def attention_parameters(backbone: TicketBackbone) -> tuple[list[int], list[int]]:
    """Numbers of parameters of each stage's shared module, and of each block's own module.

    Where there is no such module the number is 0.
    """

    def count(holder: nn.Module) -> int:
        attention = getattr(holder, "attention", None)
        return 0 if attention is None else sum(p.numel() for p in attention.parameters())

    stages = backbone.stages
    return [count(stage) for stage in stages], [count(block) for stage in stages for block in stage]


@torch.no_grad()
def attention_macs(backbone: TicketBackbone, input_shape: Sequence[int]) -> list[int]:
    """Multiply-accumulates of each connection's attention, for one image.

    Counted by torch's ``FlopCounterMode`` (two flops are one multiply-accumulate), which knows
    matrix products and convolutions. It is extended to count one for each value of an element-wise
    product or square, and one for each value that a mean, a variance or a standard deviation
    reads. mmengine's counter misses these, which are most of an SE (``x * weights`` and the
    pooling) and all of an SGE. Additions, divisions, maxima and activations are left out. A
    connection's number does not depend on the other connections.

    Args:
        backbone: Network built with ticket ``"full"``; left as it was.
        input_shape: (N, C, H, W) of the images; N counts as 1.

    Returns:
        One number per block, all built stages in order.
    """
    calls: list[tuple[nn.Module, Tensor]] = []
    with _restored(backbone):
        backbone.eval()
        backbone.set_mask(backbone.ticket)
        with _hooked(backbone, before=lambda m, args: calls.append((m, torch.zeros_like(args[0])))):
            backbone(_images(backbone, (1, *input_shape[1:])))
        return [_macs(module, x) for module, x in calls]


def _macs(module: nn.Module, x: Tensor) -> int:
    # The counter's own formulas give flops, so those of what it does not know do, too.
    aten = torch.ops.aten
    counted = {
        aten.mul: lambda *_, out_shape, **__: 2 * math.prod(out_shape),
        aten.pow: lambda *_, out_shape, **__: 2 * math.prod(out_shape),
        **dict.fromkeys(
            (aten.mean, aten.var, aten.std),
            lambda x_shape, *_, out_shape, **__: 2 * math.prod(x_shape),
        ),
    }
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        module(x)
    return counter.get_total_flops() // 2


# -- latency ---------------------------------------------------------------------------------


@torch.inference_mode()
def measure_latency(
    backbone: TicketBackbone,
    input_shape: Sequence[int],
    rounds: Rounds = 40,
    method: Method = "within",
) -> tuple[float, list[float], Measurement]:
    """Measure the plain network's forward time and what each connection adds to it.

    - ``"toggle"``: each round runs the network with each connection alone, always paired with a
      run without any, in alternating order. An increment is the median difference of such pairs.
      It contains all that a connection causes, but is the small difference of two large numbers,
      and smaller than the noise of a busy machine: look at the quartiles.
    - ``"within"``: each round times the attention calls inside one forward with every connection
      (on a GPU synchronised around each), which is far less noisy. Connections also slow other
      layers, whose data they push out of the cache. This shows in pairs of full and none, and is
      shared out among the connections in proportion.

    The sum over connections is an approximation: DIA passes a state along a stage's connected
    blocks, and a shared module's weights stay in cache. ``Measurement.full`` says how good it is.

    Args:
        backbone: Network built with ticket ``"full"``, on the device to measure; left as it was.
        input_shape: (N, C, H, W) of the images at deployment.
        rounds: Number of times that everything is measured, at least 2.
        method: ``"toggle"`` or ``"within"``.

    Returns:
        The plain time in ms, each connection's increment in ms (all built stages in order, as
        measured, so that noise may make it negative), and the circumstances.
    """
    x = _images(backbone, input_shape)
    built = sum(map(len, backbone.stages))
    none, full = [False] * built, [True] * built
    alone = [[i == j for j in range(built)] for i in range(built)]
    with _restored(backbone):
        backbone.eval()
        for _ in range(_WARM_UP):
            _forward_ms(backbone, none, x)
            _forward_ms(backbone, full, x)
        plain_ms, samples = [], []
        for index in range(rounds):
            differences = []
            # Pairs run right after one another, in alternating order, so that a machine that gets
            # slower or faster meanwhile favours neither side.
            for mask in [full, *(alone if method == "toggle" else [])]:
                first, second = (none, mask) if index % 2 else (mask, none)
                times = _forward_ms(backbone, first, x), _forward_ms(backbone, second, x)
                plain, connected = times if index % 2 else times[::-1]
                plain_ms.append(plain)
                differences.append(connected - plain)
            if method == "within":
                differences += _attention_ms(backbone, full, x)
            samples.append(differences)
    together, *each = zip(*samples, strict=True)
    increments = [median(column) for column in each]
    scale = 1.0
    if method == "within":
        # Never below 1: where noise makes full look cheaper than its calls, the calls stand.
        scale = max(1.0, median(together) / sum(increments))
    return (
        median(plain_ms),
        [scale * increment for increment in increments],
        Measurement(
            device=_device_name(x.device),
            torch=torch.__version__,
            threads=torch.get_num_threads(),
            input_shape=tuple(input_shape),
            method=method,
            rounds=rounds,
            plain_quartiles=_quartiles(plain_ms),
            quartiles=tuple(_quartiles([scale * ms for ms in column]) for column in each),
            full=median(plain_ms) + median(together),
        ),
    )


def _forward_ms(backbone: TicketBackbone, mask: Sequence[bool], x: Tensor) -> float:
    """Milliseconds of one forward under a mask of the built blocks."""
    _set_built(backbone, mask)
    return 1000.0 * forward_seconds(backbone, x)


def _attention_ms(backbone: TicketBackbone, mask: Sequence[bool], x: Tensor) -> list[float]:
    """Milliseconds of each attention call within one forward."""
    _set_built(backbone, mask)
    starts: list[float] = []
    ends: list[float] = []
    with _hooked(
        backbone,
        before=lambda *_: starts.append(clock(x.device)),
        after=lambda *_: ends.append(clock(x.device)),
    ):
        backbone(x)
    return [1000.0 * (end - start) for start, end in zip(starts, ends, strict=True)]


def _set_built(backbone: TicketBackbone, mask: Sequence[bool]) -> None:
    """Set a mask of the built stages' blocks; stages left out by ``num_stages`` have no bits."""
    unbuilt = backbone.ticket.num_blocks - len(mask)
    backbone.set_mask([*mask, *[False] * unbuilt])


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return lower, upper


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# -- running the network ---------------------------------------------------------------------


def _images(backbone: nn.Module, shape: Sequence[int]) -> Tensor:
    """Random images on the backbone's device, drawn without touching the global generator."""
    images = torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0))
    return images.to(next(backbone.parameters()))


@contextmanager
def _hooked(backbone: nn.Module, before: Any, after: Any = None) -> Iterator[None]:
    """Call ``before`` and ``after`` around each attention's forward; on exit the hooks are gone."""
    handles: list[RemovableHandle] = []
    for module in backbone.modules():
        if isinstance(module, Attention):
            handles.append(module.register_forward_pre_hook(before))
            if after is not None:
                handles.append(module.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _restored(backbone: TicketBackbone) -> Iterator[None]:
    """Leave the network alone; on exit its mask and every module's mode are restored."""
    mask = backbone.mask
    modes = [(module, module.training) for module in backbone.modules()]
    try:
        yield
    finally:
        backbone.set_mask(mask)
        for module, training in modes:
            module.training = training
