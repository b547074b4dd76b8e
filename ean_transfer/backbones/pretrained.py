"""Checkpoints that a backbone's ``init_cfg`` names, and refusing those of other networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmengine.model import PretrainedInit

from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import forbid_unsafe_loading, read_checkpoint, weights_of
from ean_transfer.ticket.files import ticket_of

if TYPE_CHECKING:
    from ean_transfer.backbones.ticketed import TicketBackbone


def pretrained_cfgs(init_cfg: dict[str, Any] | Sequence[dict[str, Any]] | None) -> list[dict]:
    """The parts of an ``init_cfg`` that load a checkpoint."""
    cfgs = [init_cfg or {}] if isinstance(init_cfg, (dict, type(None))) else init_cfg
    return [cfg for cfg in cfgs if cfg.get("type") in ("Pretrained", PretrainedInit)]


def require_own_weights(network: TicketBackbone, cfg: dict[str, Any]) -> None:
    """Refuse a checkpoint of another network, which mmengine would load without a word.

    Args:
        network: The network that is initialised.
        cfg: A part of its ``init_cfg`` that names a checkpoint.

    Raises:
        TicketError: The checkpoint was trained with another ticket.
        CheckpointError: None of its tensors is the network's.
    """
    forbid_unsafe_loading()  # mmengine reads the checkpoint next
    path = cfg["checkpoint"]
    checkpoint = read_checkpoint(path)
    ticket = ticket_of(checkpoint)
    if ticket is not None:
        network.require_ticket(ticket, path)
    prefix = f"{cfg['prefix'].rstrip('.')}." if cfg.get("prefix") else ""
    names = {
        name.removeprefix(prefix) for name in weights_of(checkpoint) if name.startswith(prefix)
    }
    if names.isdisjoint(network.state_dict()):
        hint = "" if prefix else "; of a whole model, give init_cfg prefix='backbone.'"
        raise CheckpointError(f"{path}: none of its tensors belongs to the backbone{hint}")
