"""What a supernet must have, and seeds that all processes of a training share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.dist import broadcast_object_list

from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.errors import ConfigError


def shared_seed(seed: int) -> int:
    """The first process's seed, for draws that must be equal on all processes."""
    seeds = [seed]
    broadcast_object_list(seeds)
    return seeds[0]


def require_supernet(network: MaskableNetwork, what: str) -> None:
    """Refuse a network that lacks connections.

    Args:
        network: The network that must have every connection.
        what: Beginning of the message: who needs the connections, and whose network it is.

    Raises:
        ConfigError: A connection was not built.
    """
    if network.ticket.sparsity > 0.0:
        raise ConfigError(
            f"{what} backbone has ticket {network.ticket}: "
            "build it with an attention and ticket='full'"
        )


def was_trained_with_masks(meta: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's meta says that random masks trained it."""
    return "masks" in meta
