"""Cost tables: what each mask costs in connections, parameters, operations or milliseconds."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, model_validator
from torch import Tensor

from ean_transfer.analysis.latency import Rounds, inputs_of, random_images
from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Checked, Positive
from ean_transfer.io.records import JSONFile
from ean_transfer.search.cost.counting import (
    attention_macs,
    attention_parameters,
    plain_macs,
    plain_parameters,
)
from ean_transfer.search.cost.measuring import Measurement, Method, measure_connections
from ean_transfer.supernet.sampling import require_supernet
from ean_transfer.ticket import Ticket

Cost = Literal["sparsity", "params", "macs", "latency", "latency_compiled"]
"""``sparsity`` is the share of blocks *with* attention, as a mask's cost: everywhere else it is the
share without."""
COSTS: tuple[Cost, ...] = get_args(Cost)
LATENCIES: tuple[Cost, ...] = ("latency", "latency_compiled")
"""The costs that are measured on a device."""
UNITS: dict[Cost, str] = {
    "sparsity": "share of blocks connected",
    "params": "attention parameters",
    "macs": "attention multiply-accumulates an image",
    "latency": "ms",
    "latency_compiled": "ms",
}

ImageShape = Annotated[Sequence[Positive], Field(min_length=4, max_length=4)]
"""(N, C, H, W) of a batch of images."""


class CostTable(JSONFile):
    """The cost of every mask of one network, as a sum: plain + stages + connections.

    A table is a file: costs measured on one device can be read on another.

    Args:
        cost: One of :data:`COSTS`; :data:`UNITS` has its unit.
        backbone: Name of the backbone.
        blocks: Number of blocks in each stage.
        attention: Name of the attention module.
        attention_options: Options of the attention module.
        sharing: ``"stage"`` or ``"block"``.
        plain: Cost of the network without a connection.
        stages: Cost that each stage adds if any of its blocks is connected.
        connections: Cost that each connection adds. A measured one may be negative and then counts
            as 0.
        network: Cost of the whole plain network, which percentages refer to, in the same unit.
            ``plain`` has it where this is ``None``.
        measurement: How latencies were measured.
        places: Names of the modules that stand for the blocks, where a user named them.
    """

    model_config = ConfigDict(allow_inf_nan=False)
    what = "cost table"

    format: Literal["ean-transfer/cost-table"] = "ean-transfer/cost-table"
    version: Literal[1] = 1
    cost: Cost
    backbone: str
    blocks: tuple[int, ...]
    attention: str | None
    attention_options: dict[str, bool | int | float | str]
    sharing: Literal["stage", "block"]
    plain: float
    stages: tuple[float, ...]
    connections: tuple[float, ...]
    network: float | None = None
    measurement: Measurement | None = None
    places: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_number_per_stage_and_block(self) -> CostTable:
        if len(self.stages) != len(self.blocks) or len(self.connections) != sum(self.blocks):
            raise ValueError(
                f"expected {len(self.blocks)} stages and {sum(self.blocks)} connections, found "
                f"{len(self.stages)} and {len(self.connections)}"
            )
        return self

    @property
    def unit(self) -> str:
        """Unit of :meth:`of`."""
        return UNITS[self.cost]

    @property
    def none(self) -> float:
        """Cost of the plain network."""
        return self.of((False,) * sum(self.blocks))

    @property
    def full(self) -> float:
        """Cost of the network with every connection."""
        return self.of((True,) * sum(self.blocks))

    def of(self, mask: Sequence[bool]) -> float:
        """Cost of a mask, in :attr:`unit`."""
        connected = [cost for bit, cost in zip(mask, self.connections, strict=True) if bit]
        if self.cost == "sparsity":
            # One division instead of a sum of rounded shares, so that it is exactly 1 - sparsity.
            return len(connected) / len(mask)
        bits = iter(mask)
        used = ([next(bits) for _ in range(length)] for length in self.blocks)
        stages = (cost for stage, cost in zip(used, self.stages, strict=True) if any(stage))
        return math.fsum((self.plain, *stages, *(max(cost, 0.0) for cost in connected)))

    def relative(self, mask: Sequence[bool]) -> float:
        """Cost on a scale from 0 (none) to 1 (full); always 0 if full costs no more than none."""
        none, full = self.none, self.full
        return (self.of(mask) - none) / (full - none) if full > none else 0.0

    def over_plain(self, mask: Sequence[bool]) -> float | None:
        """What a mask adds to the plain network's cost, as a share of it: 0.05 is 5 % more.

        ``None`` where the plain network's cost is unknown or 0.
        """
        network = self.network or self.plain
        return (self.of(mask) - self.none) / network if network else None

    def describe(self, mask: Sequence[bool]) -> str:
        """The cost of a mask for people, e.g. ``8.31 ms (+3.9 % over plain)``."""
        over_plain = self.over_plain(mask)
        share = "" if over_plain is None else f" ({over_plain:+.1%} over plain)"
        return f"{self.of(mask):,.6g} {self.unit}{share}"


class _CostOptions(Checked):
    """Arguments of :func:`cost_table`."""

    what = "cost table"

    cost: Cost
    input_shape: ImageShape | None
    example: Any
    rounds: Rounds
    method: Method

    @model_validator(mode="after")
    def _has_a_shape_to_run_on(self) -> _CostOptions:
        if self.cost in ("macs", *LATENCIES) and self.input_shape is None and self.example is None:
            raise ValueError(f"{self.cost} needs input_shape, e.g. (1, 3, 32, 32), found none")
        return self


def cost_table(
    cost: Cost,
    network: MaskableNetwork,
    input_shape: Sequence[int] | None = None,
    *,
    example: Any = None,
    rounds: int = 40,
    method: Method = "within",
) -> CostTable:
    """Count or measure the costs of a supernet's connections.

    - ``sparsity``: the share of blocks *with* attention, so that a sparser mask costs less.
    - ``params``: parameters of the attention modules that the mask's ticket network holds; a module
      shared by a stage counts once, as soon as any of the stage's blocks is connected.
    - ``macs``: see :func:`~ean_transfer.search.cost.counting.attention_macs`; the plain network's
      own are left out.
    - ``latency``, ``latency_compiled``: see
      :func:`~ean_transfer.search.cost.measuring.measure_connections`.

    Args:
        cost: One of :data:`COSTS`.
        network: Network built with ticket ``"full"``; left as it was.
        input_shape: (N, C, H, W) of the images, for macs (counted with N = 1) and latency.
        example: What the network is called with instead of random images: one tensor of images, or
            a tuple of all arguments. Macs are of one image in the first case, and of the whole
            example in the second.
        rounds: Number of times that latencies are measured.
        method: ``"toggle"`` or ``"within"``, for latency.

    Raises:
        ConfigError: An argument is not valid, the backbone lacks a connection, or the input shape
            is missing where one is needed.
    """
    options = _CostOptions(
        cost=cost, input_shape=input_shape, example=example, rounds=rounds, method=method
    )
    require_supernet(network, "costs are counted on a supernet, but the")
    num_stages, num_blocks = len(network.ticket.stages), network.ticket.num_blocks
    if example is None and options.input_shape is not None:
        example = random_images(network.network, options.input_shape)
    parts: dict[str, Any] = {
        "plain": 0.0,
        "stages": (0.0,) * num_stages,
        "connections": (0.0,) * num_blocks,
    }
    if cost == "sparsity":
        parts["connections"] = (1.0 / num_blocks,) * num_blocks
    elif cost == "params":
        stages, connections = attention_parameters(network)
        parts["stages"] = _padded(stages, num_stages)
        parts["connections"] = _padded(connections, num_blocks)
        parts["network"] = float(plain_parameters(network))
    elif cost == "macs":
        images, *others = inputs_of(example)
        if isinstance(images, Tensor) and not others:
            example = images[:1]
        parts["connections"] = _padded(attention_macs(network, example), num_blocks)
        parts["network"] = float(plain_macs(network, example))
    else:
        compiled = cost == "latency_compiled"
        plain, increments, measurement = measure_connections(
            network, example, rounds, method, compiled=compiled
        )
        parts["plain"], parts["measurement"] = plain, measurement
        parts["connections"] = _padded(increments, num_blocks)
    return CostTable(cost=cost, **_identity(network.ticket), **parts)


def load_cost_table(cost: Cost, path: str | os.PathLike[str], network: Ticket) -> CostTable:
    """Read the table of one cost of one network.

    Args:
        cost: One of :data:`COSTS`.
        path: File that :meth:`CostTable.save` wrote.
        network: Ticket of the supernet.

    Raises:
        ConfigError: There is no such table, or it is of another cost or network.
    """
    table = CostTable.load(path)
    for name, expected in {"cost": cost, **_identity(network)}.items():
        if (actual := getattr(table, name)) != expected:
            raise ConfigError(
                f"{path}: expected a cost table of {name} {expected}, found one of {actual}: "
                "make a table of the search's network"
            )
    return table


def _identity(ticket: Ticket) -> dict[str, Any]:
    return {
        "backbone": ticket.backbone.name,
        "blocks": ticket.backbone.blocks,
        "places": ticket.backbone.places,
        "attention": ticket.attention,
        "attention_options": ticket.attention_options,
        "sharing": ticket.sharing,
    }


def _padded(values: Sequence[float], length: int) -> tuple[float, ...]:
    """Append zeros for the stages that were not built (``num_stages``), which connect nothing."""
    return (*map(float, values), *[0.0] * (length - len(values)))
