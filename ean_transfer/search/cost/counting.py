"""Counts parameters and multiply-accumulates: each connection's, and the plain network's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from ean_transfer.analysis.latency import inputs_of
from ean_transfer.analysis.variants import Forward, shared_copy, under_masks
from ean_transfer.attachment.network import MaskableNetwork, find_backbone
from ean_transfer.attention import Attention


def count_parameters(module: nn.Module | None) -> int:
    """Number of parameters of a module, each counted once; 0 for none."""
    return 0 if module is None else sum(p.numel() for p in module.parameters())


def attention_parameters(network: MaskableNetwork) -> tuple[list[int], list[int]]:
    """Numbers of parameters of each stage's shared module, and of each block's own module.

    Where there is no such module the number is 0. The blocks are those that were built.
    """
    each = [count_parameters(module) for module in network.attentions]
    if network.ticket.sharing == "block":
        return [0] * len(network.ticket.stages), each
    return [max(numbers, default=0) for numbers in by_stage(network, each)], [0] * len(each)


def plain_parameters(network: MaskableNetwork) -> int:
    """Number of parameters of the network without its attention."""
    modules = {module for module in network.attentions if module is not None}
    return count_parameters(network.network) - sum(map(count_parameters, modules))


def by_stage(network: MaskableNetwork, values: list[Any]) -> list[list[Any]]:
    """Values of the blocks that were built, divided among all stages of the ticket."""
    rest = iter(values)
    return [list(islice(rest, length)) for length in network.ticket.backbone.blocks]


@torch.no_grad()
def attention_macs(network: MaskableNetwork, example: Any) -> list[int]:
    """Multiply-accumulates of each connection's attention in one forward.

    Counted by torch's ``FlopCounterMode`` (two flops are one multiply-accumulate), which knows
    matrix products and convolutions. It is extended to count one for each value of an element-wise
    product or square, and one for each value that a mean, a variance or a standard deviation
    reads. mmengine's counter misses these, which are most of an SE (``x * weights`` and the
    pooling) and all of an SGE. Additions, divisions, maxima and activations are left out. A
    connection's number does not depend on the other connections.

    Args:
        network: Network with the connections to count; left as it was.
        example: What the network is called with: one tensor, or a tuple of all arguments.

    Returns:
        One number per block that was built; 0 for one without a connection.
    """
    inputs = inputs_of(example)
    variant = find_backbone(shared_copy(network.network))
    variant.set_mask(network.ticket)
    calls: list[tuple[int, nn.Module, Tensor]] = []
    with watched(variant, lambda place, module, x: calls.append((place, module, x))):
        variant.network(*inputs)
    macs = [0] * len(variant.places)
    for place, module, x in calls:
        macs[place] += _macs(module, torch.zeros_like(x))
    return macs


def _macs(module: nn.Module, x: Tensor) -> int:
    # The counter's own formulas give flops, so those of what it does not know do, too.
    aten = torch.ops.aten
    counted = {
        **dict.fromkeys(
            (aten.mul, aten.mul_, aten.addcmul, aten.pow, aten.mse_loss),
            lambda *_, out_shape, **__: 2 * math.prod(out_shape),
        ),
        **dict.fromkeys(
            (aten.mean, aten.var, aten.std, aten.linalg_vector_norm),
            lambda x_shape, *_, out_shape, **__: 2 * math.prod(x_shape),
        ),
    }
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        module(x)
    return counter.get_total_flops() // 2


@torch.no_grad()
def plain_macs(network: MaskableNetwork, example: Any) -> int:
    """Multiply-accumulates of the matrix products and convolutions of the plain network's forward.

    Args:
        network: Any network; left as it was.
        example: What the network is called with: one tensor, or a tuple of all arguments.
    """
    inputs = inputs_of(example)
    plain = (False,) * network.ticket.num_blocks
    return forward_macs(under_masks(network.network, [plain], inputs)[plain], inputs)


# Without gradients the counter fails on a module that gets a part of a parameter, such as a learned
# query, and does not know torch's fast path of a transformer layer.
@torch.enable_grad()
def forward_macs(forward: Forward, inputs: tuple[Any, ...]) -> int:
    """Multiply-accumulates of the matrix products and convolutions of one call."""
    with FlopCounterMode(display=False) as counter:
        forward(*inputs)
    return counter.get_total_flops() // 2


@contextmanager
def watched(
    network: MaskableNetwork,
    before: Callable[[int, Attention, Tensor], Any],
    after: Callable[[int], Any] = lambda place: None,
) -> Iterator[None]:
    """Context manager that reports the attention calls of the network's forwards.

    Args:
        network: The network, with its mask set.
        before: Called before each attention with the number of the place that runs, the attention
            and its input.
        after: Called after each attention with the number of the place.
    """
    running: list[int] = []  # the places that are being run, the innermost last
    handles: list[RemovableHandle] = []

    def starts(module: Any, args: Any) -> None:
        before(running[-1], module, args[0])

    def ends(*_: Any) -> None:
        after(running[-1])

    for attention in {module for module in network.attentions if module is not None}:
        handles.append(attention.register_forward_pre_hook(starts))
        handles.append(attention.register_forward_hook(ends))
    for number, place in enumerate(network.places):
        enter: Any = lambda *_, number=number: running.append(number)  # noqa: E731
        leave: Any = lambda *_: running.__delitem__(-1)  # noqa: E731 - None leaves the output
        handles.append(place.register_forward_pre_hook(enter))
        # After the hooks of the mask that is set, in which attached attention runs.
        handles.append(place.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
