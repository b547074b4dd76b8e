"""Several tickets of one network side by side: size, operations, time, memory; in both passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ean_transfer.analysis.latency import (
    WARM_UP,
    Latency,
    forward_ms_in_turn,
    processor_clock,
    random_images,
)
from ean_transfer.analysis.memory import bytes_saved_for_backward, peak_bytes
from ean_transfer.analysis.variants import Forward, compiled_alone, shared_copy, under_masks
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import ConfigError
from ean_transfer.fusion.optimize import optimized
from ean_transfer.search.cost.counting import attention_macs, count_parameters, forward_macs

PLAIN = "none"
"""Name of the network that the others are compared with."""


@dataclass(frozen=True)
class Pass:
    """What one pass of a batch takes.

    Attributes:
        time: Its time, alone and over the plain network's in the same round.
        peak_bytes: Most bytes that it holds on top of weights and images; ``None`` where they
            cannot be seen (compiled code on a CPU).
    """

    time: Latency
    peak_bytes: int | None


@dataclass(frozen=True)
class Benchmark:
    """One network, measured with batches of one size.

    Attributes:
        network: Name of the ticket, with what was done to the network.
        batch: Images per pass.
        parameters: Parameters of the whole network.
        macs: Multiply-accumulates per image, see
            :func:`~ean_transfer.search.cost.counting.attention_macs`.
        forward: The forward pass in eval mode, without gradients.
        training: Forward and backward in training mode; ``None`` if it was not asked for, and for
            a network that is optimized, which is not trained.
        saved_bytes: Bytes that the forward saves for the backward pass, see
            :func:`~ean_transfer.analysis.memory.bytes_saved_for_backward`; ``None`` where there is
            none, or in compiled code, which saves what it chooses.
    """

    network: str
    batch: int
    parameters: int
    macs: int
    forward: Pass
    training: Pass | None = None
    saved_bytes: int | None = None

    @property
    def images_per_second(self) -> float:
        """Images per second in the forward pass."""
        return 1000.0 * self.batch / self.forward.time.ms


def benchmark_networks(
    networks: Mapping[str, nn.Module],
    batch: int,
    size: int,
    *,
    optimize: bool = False,
    compiled: bool = False,
    with_training: bool = True,
    rounds: int = 20,
) -> list[Benchmark]:
    """Measure networks with batches of one size, in turn, round by round.

    On one thread of the processor the times are those that it worked, see
    :func:`~ean_transfer.analysis.latency.processor_clock`.

    Args:
        networks: Networks on one device by the name of their ticket, :data:`PLAIN` among them; each
            has a maskable network in it, whose attention is that of its ticket. Their BatchNorm
            statistics change.
        batch: Images per pass.
        size: Side of the images in pixels.
        optimize: Whether to measure each also as :func:`ean_transfer.optimize` makes it.
        compiled: Whether to measure each also compiled by ``torch.compile``, which takes minutes.
        with_training: Whether to measure forward and backward as well, and what is saved for it.
        rounds: Number of times that everything is timed, at least 2.

    Returns:
        First all networks as they are, then optimized, then compiled, then both.

    Raises:
        ConfigError: A network cannot be compiled, or not be trained with such batches.
    """
    images = random_images(networks[PLAIN], (batch, 3, size, size))
    macs = {name: _macs(network, images[:1]) for name, network in networks.items()}
    variants = dict(_variants(networks, images, optimize, compiled, with_training))
    forward = _measured({name: one.forward for name, one in variants.items()}, images, rounds)
    steps = {name: one.step for name, one in variants.items() if one.step is not None}
    try:
        training = _measured(steps, images, rounds, gradients=True) if steps else {}
    except ValueError as error:  # by BatchNorm, of one value per channel
        raise ConfigError(
            f"--batch {batch} --size {size}: the network cannot be trained with such batches "
            f"({error}): give a larger one"
        ) from error
    return [
        Benchmark(
            name,
            batch,
            count_parameters(one.network),
            macs[one.ticket],
            forward[name],
            training.get(name),
            one.saved_bytes(images),
        )
        for name, one in variants.items()
    ]


# -- what is timed -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Variant:
    """A network as it is measured.

    Attributes:
        ticket: Name of its ticket.
        network: Its layers.
        forward: What is called in eval mode.
        step: Forward and backward in training mode.
        is_compiled: Whether these are compiled.
    """

    ticket: str
    network: nn.Module
    forward: Forward
    step: _Step | None = None
    is_compiled: bool = False

    def saved_bytes(self, images: Tensor) -> int | None:
        if self.step is None or self.is_compiled:
            return None
        return bytes_saved_for_backward(self.network.train(), images)


class _Step:
    """Forward and backward of a network, with the mean of its outputs as the loss."""

    def __init__(self, network: nn.Module, forward: Forward) -> None:
        self.network, self.forward = network, forward

    def __call__(self, images: Tensor) -> None:
        outputs = (leaf for leaf in tree_leaves(self.forward(images)) if isinstance(leaf, Tensor))
        loss: Any = sum(output.float().mean() for output in outputs)
        loss.backward()
        for parameter in self.network.parameters():
            parameter.grad = None


def _variants(
    networks: Mapping[str, nn.Module],
    images: Tensor,
    optimize: bool,
    compiled: bool,
    with_training: bool,
) -> Iterator[tuple[str, _Variant]]:
    """Yield each network as it is and as it was asked for, by a name for both."""
    for name, network in networks.items():
        trained = shared_copy(network).train()
        step = _Step(trained, trained) if with_training else None
        yield name, _Variant(name, trained, shared_copy(network), step)
    for name, network in networks.items() if optimize else ():
        fast = optimized(network, images).model
        yield f"{name}, optimized", _Variant(name, fast, fast)
    for name, network in networks.items() if compiled else ():
        trained = shared_copy(network).train()
        step = _Step(trained, compiled_alone(trained, (images,))) if with_training else None
        with torch.no_grad():
            forward = compiled_alone(shared_copy(network), (images,))
        yield f"{name}, compiled", _Variant(name, trained, forward, step, is_compiled=True)
    for name, network in networks.items() if optimize and compiled else ():
        fast = optimized(network, images, compiled=True).model
        yield f"{name}, optimized, compiled", _Variant(name, fast, fast, is_compiled=True)


def _measured(
    forwards: Mapping[str, Forward], images: Tensor, rounds: int, *, gradients: bool = False
) -> dict[str, Pass]:
    """Time passes in turn, and see the most that each holds."""
    with torch.set_grad_enabled(gradients):
        ms = forward_ms_in_turn(forwards, (images,), rounds, WARM_UP, processor_clock)
        return {
            name: Pass(Latency.of(ms[name], ms[PLAIN]), _peak(name, forward, images))
            for name, forward in forwards.items()
        }


def _peak(name: str, forward: Forward, images: Tensor) -> int | None:
    if name.endswith("compiled") and images.device.type != "cuda":
        return None
    return peak_bytes(forward, images)


def _macs(model: nn.Module, image: Tensor) -> int:
    """Multiply-accumulates of a whole model with the attention of its ticket."""
    network = find_backbone(model)
    plain = (False,) * network.ticket.num_blocks
    forward = under_masks(model, [plain], (image,))[plain]
    return forward_macs(forward, (image,)) + sum(attention_macs(network, image))


# -- tables ------------------------------------------------------------------------------------

HEADINGS = [
    "network", "parameters", "MACs per image", "forward, ms (quartiles)", "over none", "images/s",
    "peak, MB", "forward + backward, ms (quartiles)", "over none", "saved, MB", "peak, MB",
]  # fmt: skip
"""Headings of a table of :func:`row`."""


def row(one: Benchmark) -> list[str]:
    """The cells of a table; times over the plain network's are ratios with 95 % intervals."""
    training_peak = None if one.training is None else one.training.peak_bytes
    return [
        one.network,
        f"{one.parameters:,}",
        f"{one.macs / 1e6:,.1f} M",
        *_time(one.forward),
        f"{one.images_per_second:.4g}",
        _megabytes(one.forward.peak_bytes),
        *_time(one.training),
        _megabytes(one.saved_bytes),
        _megabytes(training_peak),
    ]


def _time(measured: Pass | None) -> Sequence[str]:
    if measured is None:
        return "", ""
    time = measured.time
    low, high = time.quartiles
    lower, upper = (1.0 + value for value in time.over_plain_interval)
    return (
        f"{time.ms:.4g} ({low:.4g} to {high:.4g})",
        f"{1.0 + time.over_plain:.3f} ({lower:.3f} to {upper:.3f})",
    )


def _megabytes(number: int | None) -> str:
    return "" if number is None else f"{number / 1e6:,.1f}"
