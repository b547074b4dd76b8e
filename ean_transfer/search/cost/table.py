"""What a mask costs: connections, attention parameters, multiply-accumulates or milliseconds."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, model_validator

from ean_transfer.errors import ConfigError
from ean_transfer.io.records import JSONFile
from ean_transfer.search.cost.measuring import (
    Measurement,
    attention_macs,
    attention_parameters,
    check_shape,
    measure_latency,
)
from ean_transfer.supernet.sampling import require_supernet
from ean_transfer.ticket import Ticket

if TYPE_CHECKING:
    from ean_transfer.backbones import TicketBackbone

COSTS = ("sparsity", "params", "macs", "latency")
UNITS = {
    "sparsity": "share of blocks connected",
    "params": "attention parameters",
    "macs": "attention multiply-accumulates an image",
    "latency": "ms",
}


class CostTable(JSONFile):
    """The cost of every mask of one network, as a sum: plain + stages + connections.

    It is data: what was measured on one device can be saved, carried and read elsewhere.

    Args:
        cost: One of :data:`COSTS`; the unit is :data:`UNITS`'s.
        backbone: Name of the backbone.
        blocks: Its blocks a stage.
        attention: What is connected.
        attention_options: Its options.
        sharing: ``"stage"`` or ``"block"``.
        plain: Cost of the network without a connection.
        stages: What each stage adds if any of its blocks is connected.
        connections: What each connection adds. A measured one may be negative and then counts as 0.
        measurement: For latencies, how they were measured.
    """

    model_config = ConfigDict(allow_inf_nan=False)
    what = "cost table"

    format: Literal["ean-transfer/cost-table"] = "ean-transfer/cost-table"
    version: Literal[1] = 1
    cost: Literal["sparsity", "params", "macs", "latency"]
    backbone: str
    blocks: tuple[int, ...]
    attention: str | None
    attention_options: dict[str, bool | int | float | str]
    sharing: Literal["stage", "block"]
    plain: float
    stages: tuple[float, ...]
    connections: tuple[float, ...]
    measurement: Measurement | None = None

    @model_validator(mode="after")
    def _one_number_a_stage_and_block(self) -> CostTable:
        if len(self.stages) != len(self.blocks) or len(self.connections) != sum(self.blocks):
            raise ValueError(
                f"expected {len(self.blocks)} stages and {sum(self.blocks)} connections, found "
                f"{len(self.stages)} and {len(self.connections)}"
            )
        return self

    @property
    def unit(self) -> str:
        """In what :meth:`of` counts."""
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
        """Cost of a mask, in :attr:`unit`.

        Raises:
            ConfigError: If the mask has not one bit for each block.
        """
        if len(mask) != sum(self.blocks):
            raise ConfigError(
                f"{self.backbone} has {sum(self.blocks)} blocks, found {len(mask)} bits"
            )
        if self.cost == "sparsity":
            return sum(mask) / len(mask)  # one rounding only, so that it is 1 - sparsity exactly
        connected = (
            max(cost, 0.0) for bit, cost in zip(mask, self.connections, strict=True) if bit
        )
        bits = iter(mask)
        used = ([next(bits) for _ in range(length)] for length in self.blocks)
        stages = (cost for stage, cost in zip(used, self.stages, strict=True) if any(stage))
        return math.fsum((self.plain, *stages, *connected))

    def relative(self, mask: Sequence[bool]) -> float:
        """Cost from none's, 0, to full's, 1; 0 for all masks if full costs no more than none."""
        none, full = self.none, self.full
        return (self.of(mask) - none) / (full - none) if full > none else 0.0

    def require_fit(self, ticket: Ticket, source: str = "the cost table") -> None:
        """Refuse the table of another network.

        Raises:
            ConfigError: If backbone, attention, its options or the sharing differ.
        """
        for name, wanted in _identity(ticket).items():
            if (found := getattr(self, name)) != wanted:
                raise ConfigError(
                    f"{source} was made with {name} {found}, the search's network has {wanted}: "
                    "make a table of this network"
                )


def cost_table(
    cost: str,
    backbone: TicketBackbone,
    input_shape: Sequence[int] | None = None,
    *,
    rounds: int = 40,
    method: str = "within",
) -> CostTable:
    """Count or measure what the connections of a supernet cost.

    - ``sparsity``: the share of blocks connected.
    - ``params``: parameters of the attention modules that the mask's ticket network holds; a module
      shared by a stage counts once, as soon as any of the stage's blocks is connected.
    - ``macs``: see :func:`attention_macs`; the plain network's own are left out.
    - ``latency``: see :func:`measure_latency`.

    Args:
        cost: One of :data:`COSTS`.
        backbone: Built with ticket ``"full"``; left as it was.
        input_shape: (N, C, H, W) of the images, for macs (counted with N = 1) and latency.
        rounds: For latency, times that everything is measured.
        method: For latency, ``"toggle"`` or ``"within"``; see :func:`measure_latency`.

    Raises:
        ConfigError: For an unknown cost, a backbone that lacks a connection, or no input shape
            where one is needed.
    """
    if cost not in COSTS:
        raise ConfigError(f"a cost is one of {', '.join(COSTS)}, found {cost!r}")
    require_supernet(backbone, "costs are counted on a supernet, but the")
    num_stages, num_blocks = len(backbone.ticket.stages), backbone.ticket.num_blocks
    parts: dict[str, Any] = {
        "plain": 0.0,
        "stages": (0.0,) * num_stages,
        "connections": (0.0,) * num_blocks,
    }
    if cost == "sparsity":
        parts["connections"] = (1.0 / num_blocks,) * num_blocks
    elif cost == "params":
        stages, connections = attention_parameters(backbone)
        parts["stages"] = _padded(stages, num_stages)
        parts["connections"] = _padded(connections, num_blocks)
    elif input_shape is None:
        raise ConfigError(f"cost {cost!r} needs the images' shape, e.g. (1, 3, 32, 32)")
    elif cost == "macs":
        check_shape(input_shape)
        parts["connections"] = _padded(attention_macs(backbone, input_shape), num_blocks)
    else:
        plain, increments, measurement = measure_latency(backbone, input_shape, rounds, method)
        parts["plain"], parts["measurement"] = plain, measurement
        parts["connections"] = _padded(increments, num_blocks)
    return CostTable(cost=cost, **_identity(backbone.ticket), **parts)  # type: ignore[arg-type]


def load_cost_table(cost: str, path: str | os.PathLike[str], network: Ticket) -> CostTable:
    """Read the table of a cost of a network.

    Args:
        cost: One of :data:`COSTS`.
        path: What :meth:`CostTable.save` wrote.
        network: The supernet's ticket.

    Raises:
        ConfigError: If there is no such table, or it is of another cost or network.
    """
    table = CostTable.load(path)
    if table.cost != cost:
        raise ConfigError(f"{path}: a table of {table.cost}, the reward needs one of {cost}")
    table.require_fit(network, str(path))
    return table


def _identity(ticket: Ticket) -> dict[str, Any]:
    return {
        "backbone": ticket.backbone.name,
        "blocks": ticket.backbone.blocks,
        "attention": ticket.attention,
        "attention_options": ticket.attention_options,
        "sharing": ticket.sharing,
    }


def _padded(values: Sequence[float], length: int) -> tuple[float, ...]:
    """With 0 for the stages that were not built (``num_stages``): nothing is connected there."""
    return (*map(float, values), *[0.0] * (length - len(values)))
