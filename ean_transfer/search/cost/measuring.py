"""Times what each connection of a network adds to its forward pass, eager or compiled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict

from ean_transfer.analysis.latency import (
    WARM_UP,
    Rounds,
    clock,
    device_name,
    device_of,
    first_tensor,
    forward_ms,
    inputs_of,
    quartiles,
)
from ean_transfer.analysis.variants import Forward, shared_copy, under_masks
from ean_transfer.attachment.network import MaskableNetwork, find_backbone
from ean_transfer.search.cost.counting import by_stage, watched
from ean_transfer.ticket.mask import Mask

Method = Literal["toggle", "within"]
"""How latencies are measured, see :func:`measure_connections`."""


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


@torch.inference_mode()
def measure_connections(
    network: MaskableNetwork,
    example: Any,
    rounds: Rounds = 40,
    method: Method = "within",
    *,
    compiled: bool = False,
) -> tuple[float, list[float], Measurement]:
    """Measure the plain network's forward time and what each connection adds to it.

    - ``"toggle"``: each round runs the network with each connection alone, always paired with a
      run without any, in alternating order. An increment is the median difference of such pairs.
      It contains all that a connection causes, but is the small difference of two large numbers,
      and smaller than the noise of a busy machine: look at the quartiles. Compiled, that is one
      compilation per block.
    - ``"within"``: each round times the attention calls inside one forward with every connection
      (on a GPU synchronised around each), which is far less noisy. Connections also slow other
      layers, whose data they push out of the cache. This shows in pairs of full and none, and is
      shared out among the connections in proportion. Inside compiled code nothing can be timed:
      compiled, each round runs the network with each *stage* alone, paired as above, and a stage's
      increment is shared out among its connections in proportion to their eager calls. That is
      one compilation per stage.

    The sum over connections is an approximation: DIA passes a state along a stage's connected
    blocks, and a shared module's weights stay in cache. ``Measurement.full`` says how good it is,
    and :func:`~ean_transfer.search.budget.check_budget` times the ticket that was chosen.

    Args:
        network: Network with every connection, on the device to measure; left as it was.
        example: What the network is called with at deployment: one tensor, or a tuple of all
            arguments.
        rounds: Number of times that everything is measured, at least 2.
        method: ``"toggle"`` or ``"within"``.
        compiled: Whether to measure the network compiled by ``torch.compile``.

    Returns:
        The plain time in ms, each connection's increment in ms (all built stages in order, as
        measured, so that noise may make it negative), and the circumstances.
    """
    inputs = inputs_of(example)
    blocks = range(len(network.places))
    groups: list[list[int]] = []  # blocks that are connected together, without any other
    if method == "toggle":
        groups = [[block] for block in blocks]
    elif compiled:
        groups = [stage for stage in by_stage(network, list(blocks)) if stage]
    none, full, *alone = (_connecting(network, group) for group in ([], blocks, *groups))
    forwards = under_masks(network.network, [none, full, *alone], inputs, compiled=compiled)
    for forward in forwards.values():
        for _ in range(WARM_UP):
            forward(*inputs)
    connected = find_backbone(shared_copy(network.network))  # whose attention calls are timed
    connected.set_mask(full)

    plain_ms: list[float] = []
    differences: dict[Mask, list[float]] = defaultdict(list)
    calls: list[list[float]] = []
    for index in range(rounds):
        for mask in (full, *alone):
            plain, other = _pair_ms(forwards[none], forwards[mask], inputs, swap=index % 2 == 0)
            plain_ms.append(plain)
            differences[mask].append(other - plain)
        if method == "within":
            calls.append(_attention_ms(connected, inputs))

    columns: list[list[float]]  # one per connection: its increment in each round
    if method == "toggle":
        columns = [differences[mask] for mask in alone]
    else:
        columns = [list(column) for column in zip(*calls, strict=True)]
        each = [median(column) for column in columns]
        if compiled:
            for group, mask in zip(groups, alone, strict=True):
                together = sum(each[block] for block in group)
                for block in group:
                    columns[block] = [ms * each[block] / together for ms in differences[mask]]
        else:
            # Never below 1: where noise makes full look cheaper than its calls, the calls stand.
            scale = max(1.0, median(differences[full]) / sum(each))
            columns = [[scale * ms for ms in column] for column in columns]
    return (
        median(plain_ms),
        [median(column) for column in columns],
        Measurement(
            device=device_name(device_of(inputs)),
            torch=torch.__version__,
            threads=torch.get_num_threads(),
            input_shape=_shape(inputs),
            method=method,
            rounds=rounds,
            plain_quartiles=quartiles(plain_ms),
            quartiles=tuple(quartiles(column) for column in columns),
            full=median(plain_ms) + median(differences[full]),
        ),
    )


def _connecting(network: MaskableNetwork, blocks: Sequence[int]) -> Mask:
    """The mask that connects some blocks, of those that were built."""
    return tuple(block in blocks for block in range(network.ticket.num_blocks))


def _pair_ms(
    plain: Forward, other: Forward, inputs: tuple[Any, ...], *, swap: bool
) -> tuple[float, float]:
    """Milliseconds of two forwards right after one another.

    The order alternates, so that a machine that gets slower or faster meanwhile favours neither.
    """
    if swap:
        other_ms = forward_ms(other, inputs)
        return forward_ms(plain, inputs), other_ms
    return forward_ms(plain, inputs), forward_ms(other, inputs)


def _attention_ms(network: MaskableNetwork, inputs: tuple[Any, ...]) -> list[float]:
    """Milliseconds of each place's attention within one forward."""
    device = device_of(inputs)
    ms = [0.0] * len(network.places)

    def starts(place: int, *_: Any) -> None:
        ms[place] -= 1000.0 * clock(device)

    def ends(place: int) -> None:
        ms[place] += 1000.0 * clock(device)

    with watched(network, starts, ends):
        network.network(*inputs)
    return ms


def _shape(inputs: tuple[Any, ...]) -> tuple[int, ...]:
    tensor = first_tensor(inputs)
    return () if tensor is None else tuple(tensor.shape)
