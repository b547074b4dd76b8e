"""ean-transfer: find where to plug attention into a CNN, and carry the answer to other tasks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ean_transfer.errors import EANError

if TYPE_CHECKING:
    from ean_transfer.analysis.latency import measure_latency
    from ean_transfer.analysis.places import places_of
    from ean_transfer.attachment.attach import attach, detach
    from ean_transfer.attachment.families import blocks_of
    from ean_transfer.attachment.network import masked, set_mask
    from ean_transfer.attachment.parameters import parameter_groups
    from ean_transfer.backbones import build_backbone
    from ean_transfer.fusion.optimize import optimize
    from ean_transfer.prediction.loading import load
    from ean_transfer.search.find import evaluate_masks, find_ticket
    from ean_transfer.supernet.importance import connection_importance
    from ean_transfer.supernet.sampling import MaskSampler
    from ean_transfer.ticket import Ticket, TicketError

__version__ = "0.1.0"
__all__ = [
    "EANError",
    "MaskSampler",
    "Ticket",
    "TicketError",
    "__version__",
    "attach",
    "blocks_of",
    "build_backbone",
    "connection_importance",
    "detach",
    "evaluate_masks",
    "find_ticket",
    "load",
    "masked",
    "measure_latency",
    "optimize",
    "parameter_groups",
    "places_of",
    "set_mask",
]

# Loaded on first use: reading tickets must not wait for torch, nor --help for pydantic.
_LAZY = {
    "MaskSampler": "ean_transfer.supernet.sampling",
    "Ticket": "ean_transfer.ticket",
    "TicketError": "ean_transfer.ticket",
    "attach": "ean_transfer.attachment.attach",
    "blocks_of": "ean_transfer.attachment.families",
    "build_backbone": "ean_transfer.backbones",
    "connection_importance": "ean_transfer.supernet.importance",
    "detach": "ean_transfer.attachment.attach",
    "evaluate_masks": "ean_transfer.search.find",
    "find_ticket": "ean_transfer.search.find",
    "load": "ean_transfer.prediction.loading",
    "masked": "ean_transfer.attachment.network",
    "measure_latency": "ean_transfer.analysis.latency",
    "optimize": "ean_transfer.fusion.optimize",
    "parameter_groups": "ean_transfer.attachment.parameters",
    "places_of": "ean_transfer.analysis.places",
    "set_mask": "ean_transfer.attachment.network",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
