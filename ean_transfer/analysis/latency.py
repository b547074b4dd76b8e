"""The one stopwatch: how long forward passes take, of several networks or masks in turn.

Plain PyTorch, since the search's costs use it, too.
"""

from __future__ import annotations

import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any, TypeVar, overload

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ean_transfer.analysis.variants import Forward, compiled_alone, shared_copy, under_masks
from ean_transfer.attachment.network import find_backbone, find_ticket
from ean_transfer.io.checked import checked_arguments
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import Mask

Rounds = Annotated[int, Field(ge=2)]
"""Number of times that everything is measured, at least 2 for quartiles."""
WARM_UP = 3
"""Forwards of each network before any is timed; the first may compile it."""

_Name = TypeVar("_Name")


@dataclass(frozen=True)
class Latency:
    """Time of one forward pass over the rounds of a measurement.

    Attributes:
        ms: Median time in milliseconds.
        quartiles: First and third quartile of the time, in milliseconds.
        over_plain: Median of ``t / t_plain - 1``, with the plain network's time in the same round:
            0.05 is 5 % slower. The papers' relative time increment.
        over_plain_quartiles: First and third quartile of that.
        over_plain_interval: 95 % confidence interval of the median of that, see
            :func:`median_interval`.
    """

    ms: float
    quartiles: tuple[float, float]
    over_plain: float
    over_plain_quartiles: tuple[float, float]
    over_plain_interval: tuple[float, float]

    @classmethod
    def of(cls, ms: Sequence[float], plain_ms: Sequence[float]) -> Latency:
        """The latency of a network from its times and the plain network's, one per round."""
        over_plain = [t / plain - 1.0 for t, plain in zip(ms, plain_ms, strict=True)]
        spread = quartiles(over_plain), median_interval(over_plain)
        return cls(median(ms), quartiles(ms), median(over_plain), *spread)

    def __str__(self) -> str:
        low, high = self.quartiles
        return f"{self.ms:.3g} ms ({low:.3g} to {high:.3g}), {self.over_plain:+.1%} over plain"


# -- the stopwatch ---------------------------------------------------------------------------


def clock(device: torch.device) -> float:
    """Seconds, read once the device has finished the work it was given."""
    if device.type not in ("cpu", "meta"):
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def processor_clock(device: torch.device) -> float:
    """Seconds that the processor has worked for this program, on one thread; else the clock's.

    Other programs do not lengthen them. Work of another device is not seen, so it is timed by the
    clock as well.
    """
    is_seen = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if is_seen else clock(device)


Clock = Callable[[torch.device], float]
"""What reads seconds for a device."""


def forward_ms(forward: Forward, inputs: tuple[Any, ...], clock: Clock = clock) -> float:
    """Milliseconds of one forward pass, on the device of its inputs."""
    device = device_of(inputs)
    start = clock(device)
    forward(*inputs)
    return 1000.0 * (clock(device) - start)


def forward_ms_in_turn(
    forwards: Mapping[_Name, Forward],
    inputs: tuple[Any, ...],
    rounds: int,
    warm_up: int = WARM_UP,
    clock: Clock = clock,
) -> dict[_Name, list[float]]:
    """Milliseconds of one forward pass of each network in each round.

    Each round has another random order: a machine that gets slower or faster meanwhile favours
    none, and no network always finds the caches and the free memory that the same other one left.
    """
    ms: dict[_Name, list[float]] = {name: [] for name in forwards}
    orders = random.Random(0)
    for index in range(warm_up + rounds):
        for name in orders.sample(list(forwards), len(forwards)):
            elapsed = forward_ms(forwards[name], inputs, clock)
            if index >= warm_up:
                ms[name].append(elapsed)
    return ms


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """First and third quartile of two values or more, as NumPy defines them."""
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return lower, upper


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the median, from ranks alone; of five values or fewer their range.

    The k-th smallest and the k-th largest value, with the largest k for which the binomial
    distribution gives at least the confidence: it assumes nothing about how times are distributed.
    """
    number = len(values)
    # Of so many values at most k lie below the median: the probability for k = 0, 1, ...
    at_most = accumulate(comb(number, k) / 2**number for k in range(number))
    rank = max(0, sum(p <= (1.0 - confidence) / 2 for p in at_most) - 1)
    ordered = sorted(values)
    return ordered[rank], ordered[-1 - rank]


# -- networks and masks ----------------------------------------------------------------------


@torch.inference_mode()
def compare_latencies(
    models: Mapping[str, nn.Module],
    example: Any,
    *,
    plain: str,
    compiled: bool = False,
    rounds: int = 40,
    warm_up: int = WARM_UP,
) -> dict[str, Latency]:
    """Time the forward passes of several networks in turn.

    Args:
        models: Modules by name; they are put in eval mode.
        example: What they are called with, see :func:`measure_latency`.
        plain: Name of the model that the others are compared with.
        compiled: Whether to compile each model by ``torch.compile`` first.
        rounds: Number of times that every model runs, at least 2.
        warm_up: Number of rounds before that, which are not counted.

    Raises:
        ConfigError: torch cannot compile a model.
    """
    inputs = inputs_of(example)
    forwards: dict[str, Forward] = {name: model.eval() for name, model in models.items()}
    if compiled:
        forwards = {n: compiled_alone(shared_copy(model), inputs) for n, model in models.items()}
    ms = forward_ms_in_turn(forwards, inputs, rounds, warm_up)
    return {name: Latency.of(ms[name], ms[plain]) for name in models}


@overload
def measure_latency(
    model: nn.Module,
    example: Any,
    masks: None = None,
    *,
    compiled: bool = False,
    rounds: int = 40,
) -> Latency: ...


@overload
def measure_latency(
    model: nn.Module,
    example: Any,
    masks: Sequence[Sequence[bool | int] | Ticket],
    *,
    compiled: bool = False,
    rounds: int = 40,
) -> list[Latency]: ...


@checked_arguments
@torch.inference_mode()
def measure_latency(
    model: nn.Module,
    example: Any,
    masks: Any = None,
    *,
    compiled: bool = False,
    rounds: Rounds = 40,
) -> Latency | list[Latency]:
    """Measure how long a model's forward pass takes, also under masks, against the plain network.

    The plain network and all masks run in turn, round by round, and each is compared with the plain
    network of its own round. So the ratios hold on a machine that is busy with other work, where
    times alone do not. Everything runs in eval mode, without gradients, on the model's device.

    Args:
        model: Any model; left as it was. For masks it has attention: a backbone built from a
            ticket, what :func:`ean_transfer.attach` returned, or a model with either in it.
        example: What the model is called with, on its device: one tensor, or a tuple of all its
            arguments, e.g. ``([image],)`` for a detector.
        masks: Masks or tickets to measure; by default the mask that is set.
        compiled: Whether to compile each mask's network by ``torch.compile`` first, which takes
            seconds to minutes each.
        rounds: Number of times that everything runs, at least 2.

    Returns:
        One :class:`Latency` per mask; without ``masks`` that of the model as it is. A model
        without attention is itself the plain network.

    Raises:
        ConfigError: An argument is not valid, masks are given for a model without attention, a
            connection was not built, or torch cannot compile the model.
        TicketError: A mask has not one value per block.
    """
    inputs = inputs_of(example)
    if masks is None and find_ticket(model) is None:
        alone = shared_copy(model)
        forward = compiled_alone(alone, inputs) if compiled else alone
        ms = forward_ms_in_turn({"plain": forward}, inputs, rounds)["plain"]
        return Latency.of(ms, ms)
    backbone = find_backbone(model)
    measured = [backbone.mask] if masks is None else [*map(backbone.checked_mask, masks)]
    plain: Mask = (False,) * backbone.ticket.num_blocks
    forwards = under_masks(model, [plain, *measured], inputs, compiled=compiled)
    times = forward_ms_in_turn(forwards, inputs, rounds)
    latencies = [Latency.of(times[mask], times[plain]) for mask in measured]
    return latencies[0] if masks is None else latencies


# -- what networks are run with --------------------------------------------------------------


def inputs_of(example: Any) -> tuple[Any, ...]:
    """The arguments of a call, from one argument or a tuple of all."""
    return example if isinstance(example, tuple) else (example,)


def random_images(network: nn.Module, shape: Sequence[int]) -> Tensor:
    """Random images on a network's device, drawn without touching the global generator."""
    images = torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0))
    return images.to(next(network.parameters()))


def first_tensor(inputs: tuple[Any, ...]) -> Tensor | None:
    """The first tensor of a call's arguments, ``None`` if there is none."""
    return next((leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)), None)


def device_of(inputs: tuple[Any, ...]) -> torch.device:
    """The device that a call's arguments are on."""
    tensor = first_tensor(inputs)
    return torch.device("cpu") if tensor is None else tensor.device


def device_name(device: torch.device) -> str:
    """The name of a device's hardware, e.g. of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
