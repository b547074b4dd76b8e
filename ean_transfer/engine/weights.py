"""Checkpoints: read safely, marked with the ticket they belong to, carried between tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attachment.network import find_backbone, find_ticket
from ean_transfer.engine.pretrained import weights_file
from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import read_checkpoint, weights_of
from ean_transfer.io.files import replacing
from ean_transfer.ticket import TicketError
from ean_transfer.ticket.checkpoint import ticket_of
from ean_transfer.ticket.display import described


def write_network(model: nn.Module, file: str | os.PathLike[str], **meta: Any) -> None:
    """Write a model that was not trained as it is, e.g. a folded one, as a checkpoint.

    Args:
        model: The model; its backbone's ticket goes into the checkpoint, if it has one.
        file: Where.
        **meta: What else the checkpoint says of itself, e.g. ``dataset_meta``; plain data.
    """
    ticket = find_ticket(model)
    if ticket is not None:
        meta["ticket"] = ticket.model_dump(mode="json")
    with replacing(Path(file)) as partial:
        torch.save({"meta": meta, "state_dict": model.state_dict()}, partial)


def require_model_ticket(checkpoint: dict[str, Any], model: nn.Module, source: str) -> None:
    """Refuse a checkpoint of another ticket; one without, or a network without, has nothing to say.

    Raises:
        TicketError: If the tickets differ, or the checkpoint's has connections and the network has
            no ticketed backbone.
    """
    found = ticket_of(checkpoint)
    if found is None:
        return
    if find_ticket(model) is not None:
        find_backbone(model).require_ticket(found, source)
    elif not found.is_plain:
        raise TicketError(
            f"{source} was trained with ticket {described(found)}, but the network's backbone "
            "takes no tickets: set it to a ticketed one, such as TicketResNet"
        )


def load_model(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load the checkpoint of a whole model, as it is.

    Raises:
        TicketError: If it was trained with another ticket.
        CheckpointError: If it cannot be read or is of another network.
    """
    checkpoint = read_checkpoint(path)
    require_model_ticket(checkpoint, model, str(path))
    weights, own = weights_of(checkpoint), model.state_dict()
    require_shapes(weights, own, str(path))
    require_all(weights, own, str(path))
    model.load_state_dict({name: weights[name] for name in own})


@dataclass(frozen=True)
class LoadReport:
    """What loading a backbone's weights did; names are the backbone's keys."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]  # of the network, not in the checkpoint
    left_over: tuple[str, ...]  # of the checkpoint, not in the network
    starts_as_identity: bool = False  # the attention that is missing, see TicketBackbone

    def __str__(self) -> str:
        text = f"loaded {len(self.loaded)} tensors into the backbone"
        for what in ("missing", "left_over"):
            if names := getattr(self, what):
                shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
                text += f"; {what.replace('_', ' ')}: {len(names)} ({shown})"
        if self.starts_as_identity:
            text += "; the missing attention starts as the identity"
        return text


def load_backbone(model: nn.Module, path: str | os.PathLike[str]) -> LoadReport:
    """Load a checkpoint's backbone into a model's, for any task on either side.

    Takes the keys under ``backbone.``, or all keys if there are none (torchvision's files). Where
    the backbone has ``init="identity"`` and the checkpoint lacks its attention, that starts as the
    identity.

    Args:
        model: A model with a ``backbone``, ticketed or not. Its weights are initialised before,
            since initialising replaces what is loaded.
        path: The checkpoint; also ``torchvision:NAME`` or ``mmpretrain:NAME``, see
            :func:`~ean_transfer.engine.pretrained.weights_file`.

    Raises:
        TicketError: If the checkpoint was trained with another ticket.
        CheckpointError: If it cannot be read, is of another width, or has nothing of a backbone.
    """
    checkpoint = read_checkpoint(weights_file(path))
    backbone = _backbone(model)
    require_model_ticket(checkpoint, model, str(path))
    weights = weights_of(checkpoint)
    prefix = "backbone."
    if any(name.startswith(prefix) for name in weights):
        weights = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}

    own = backbone.state_dict()
    if any(name.startswith("attention.stage") for name in weights):
        raise CheckpointError(
            f"{path}: holds attention that attach() connected, which would be lost: load it into "
            "a network that attach() was called on"
        )
    common = {n: w for n, w in weights.items() if n in own}
    if not common:
        raise CheckpointError(
            f"{path}: none of its {len(weights)} tensors belongs to the backbone "
            f"{getattr(backbone, 'backbone_name', type(backbone).__name__)} (expected names such "
            f"as {next(iter(own))})"
        )
    require_shapes(common, own, str(path))
    backbone.load_state_dict(common, strict=False)
    missing = tuple(n for n in own if n not in weights)
    return LoadReport(
        loaded=tuple(common),
        missing=missing,
        left_over=tuple(n for n in weights if n not in own),
        starts_as_identity=getattr(backbone, "init", "default") == "identity"
        and any("attention" in n.split(".") for n in missing),
    )


def _backbone(model: nn.Module) -> nn.Module:
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise CheckpointError(f"the {type(model).__name__} has no backbone to load weights into")
    return backbone


def require_shapes(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights of another width: a part of them would always fit."""
    for name, tensor in own.items():
        if name in weights and weights[name].shape != tensor.shape:
            raise CheckpointError(
                f"{source}: {name} has shape {tuple(weights[name].shape)}, the network has "
                f"{tuple(tensor.shape)}: it is the checkpoint of another network"
            )


def require_all(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> None:
    """Refuse a checkpoint that lacks any of the network's tensors."""
    if missing := [name for name in own if name not in weights]:
        raise CheckpointError(
            f"{source} lacks {len(missing)} of the network's {len(own)} tensors "
            f"({missing[0]} ...): it is the checkpoint of another network"
        )
