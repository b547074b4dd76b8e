"""ean-transfer: find where to plug attention into a CNN, and carry the answer to other tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ean_transfer.errors import EANError
from ean_transfer.ticket import Ticket, TicketError

if TYPE_CHECKING:
    from ean_transfer.backbones import build_backbone

__version__ = "0.1.0"
__all__ = ["EANError", "Ticket", "TicketError", "__version__", "build_backbone"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: reading tickets must not wait for torch.
    if name == "build_backbone":
        from ean_transfer.backbones import build_backbone

        return build_backbone
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
