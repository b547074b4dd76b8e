"""Loading and writing a model's weights: whole models, and backbones between tasks.

A checkpoint is compared with the network first: its ticket, and its tensors' names and shapes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ean_transfer.attachment.batchnorm import take_foldings
from ean_transfer.attachment.fitting import first_of, fitted
from ean_transfer.attachment.network import find_ticket
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.files import replacing


def write_network(model: nn.Module, file: str | os.PathLike[str], **meta: Any) -> None:
    """Write a model that no training has written, e.g. a folded one, as a checkpoint.

    Args:
        model: The model; its backbone's ticket goes into the checkpoint, if it has one.
        file: Path of the checkpoint.
        **meta: Plain data that the checkpoint also carries, e.g. ``dataset_meta``.
    """
    ticket = find_ticket(model)
    if ticket is not None:
        meta["ticket"] = ticket.model_dump(mode="json")
    with replacing(Path(file)) as partial:
        torch.save({"meta": meta, "state_dict": model.state_dict()}, partial)


def load_model(model: nn.Module, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Load the checkpoint of a whole model, as it is; return the checkpoint's meta.

    Where the checkpoint's BatchNorm is folded into the convolutions, the model's is removed.

    Raises:
        TicketError: The checkpoint was trained with another ticket.
        CheckpointError: The checkpoint cannot be read or is of another network.
    """
    checkpoint = read_checkpoint(path)
    take_foldings(model, checkpoint, str(path))
    fit = fitted(checkpoint, model, str(path), whole=True)
    # Whole, as fitted() has seen; and with what else the attention takes, a gain.
    model.load_state_dict(fit.weights, strict=False)
    return checkpoint.get("meta", {})


@dataclass(frozen=True)
class LoadReport:
    """What loading a backbone's weights did.

    Attributes:
        loaded: Keys of the backbone that were loaded.
        missing: Keys of the backbone that the checkpoint lacks.
        left_over: Keys of the checkpoint that the backbone lacks.
        changes: What was done to the checkpoint's own names, see
            :class:`~ean_transfer.attachment.fitting.Fitted`.
        starts_as_identity: Whether the missing attention starts as the identity.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    changes: tuple[str, ...] = ()
    starts_as_identity: bool = False

    def __str__(self) -> str:
        text = "; ".join((*self.changes, f"loaded {len(self.loaded)} tensors into the backbone"))
        for what in ("missing", "left_over"):
            if names := getattr(self, what):
                text += f"; {what.replace('_', ' ')}: {first_of(names)}"
        if self.starts_as_identity:
            text += "; the missing attention starts as the identity"
        return text


def load_backbone(model: nn.Module, path: str | os.PathLike[str]) -> LoadReport:
    """Load a checkpoint's backbone into a model's, for any task on either side.

    Takes the keys under ``backbone.``, or all keys if these fit better (torchvision's files). Where
    the backbone has ``init="identity"`` and the checkpoint lacks its attention, that starts as the
    identity.

    Args:
        model: A model with a ``backbone``, ticketed or not. Its weights are initialised before,
            since initialising replaces what is loaded.
        path: The checkpoint; also ``torchvision:NAME``, ``timm:NAME`` and others, see
            :func:`~ean_transfer.io.sources.weights_file`.

    Raises:
        TicketError: The checkpoint was trained with another ticket.
        CheckpointError: The checkpoint cannot be read, is of another width, or has nothing of a
            backbone.
    """
    checkpoint = read_checkpoint(path)
    backbone: Any = model.backbone
    fit = fitted(checkpoint, backbone, str(path), parts=("", "backbone."))
    weights = fit.weights
    backbone.load_state_dict(weights, strict=False)
    own = backbone.state_dict()  # with the gains that the weights have
    common = [n for n in weights if n in own]
    missing = tuple(n for n in own if n not in weights)
    return LoadReport(
        loaded=tuple(common),
        missing=missing,
        left_over=tuple(n for n in weights if n not in own),
        changes=fit.changes,
        starts_as_identity=getattr(backbone, "init", "default") == "identity"
        and any("attention" in n.split(".") for n in missing),
    )
