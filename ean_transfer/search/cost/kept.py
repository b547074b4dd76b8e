"""The cost tables of one search: read or made once, and kept in its work dir."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process

from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.io.records import remedy
from ean_transfer.search.cost.table import LATENCIES, Cost, CostTable, cost_table, load_cost_table


def cost_file(work_dir: Path, cost: Cost) -> Path:
    """The file that a search keeps a cost table in."""
    return work_dir / f"cost_{cost}.json"


def cost_tables(
    costs: Sequence[Cost],
    network: MaskableNetwork,
    work_dir: Path,
    *,
    latency_file: str | os.PathLike[str] | None = None,
    latency_options: Mapping[str, Any],
    input_shape: Sequence[int] | None = None,
    example: Any = None,
) -> dict[Cost, CostTable]:
    """The tables that a reward needs, the same on every process. Every process has to call it.

    Args:
        costs: Costs to have tables of.
        network: The supernet's maskable network.
        work_dir: Folder that a table made is kept in, so that a search resumes with the same
            latencies.
        latency_file: Table of latencies to be read instead.
        latency_options: Options of :func:`~ean_transfer.search.cost.table.cost_table` for latency.
        input_shape: (N, C, H, W) of the images, unless the options have another.
        example: What the network is called with instead, see
            :func:`~ean_transfer.search.cost.table.cost_table`.

    Raises:
        ConfigError: A table that is to be read is missing or of another cost or network.
    """

    def table(cost: Cost) -> CostTable:
        file = cost_file(work_dir, cost)
        is_latency = cost in LATENCIES
        if is_latency and latency_file is not None:
            return load_cost_table(cost, latency_file, network.ticket)
        if file.exists():
            with remedy("delete it, and it is made again"):
                return load_cost_table(cost, file, network.ticket)
        options: dict[str, Any] = {"input_shape": input_shape, "example": example}
        made = cost_table(cost, network, **(options | dict(latency_options if is_latency else {})))
        made.save(file)
        return made

    tables: dict[Cost, CostTable] = {}
    for cost in costs:
        # One process measures, so that all have the same table.
        shared: list[Any] = [table(cost) if is_main_process() else None]
        broadcast_object_list(shared)
        tables[cost] = shared[0]
    return tables
