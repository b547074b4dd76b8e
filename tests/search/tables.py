"""Cost tables of networks that do not exist."""

from __future__ import annotations

from typing import Any

from ean_transfer.search.cost.table import Cost, CostTable


def toy_table(cost: Cost, connections: tuple[float, ...], **parts: Any) -> CostTable:
    """A table of two stages unless the parts have other ``blocks``."""
    half = len(connections) // 2
    network = dict(backbone="toy", attention="SE", attention_options={}, sharing="block")
    parts = dict(blocks=(half, half), plain=0.0, stages=(0.0, 0.0)) | network | parts
    return CostTable(cost=cost, connections=connections, **parts)
