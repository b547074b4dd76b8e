"""Checkpoints: read safely, marked with the ticket they belong to, carried between tasks."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.registry import HOOKS
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner.base_loop import BaseLoop
from numpy._core.multiarray import _reconstruct, scalar
from torch import Tensor, nn

from ean_transfer.atomic import replacing
from ean_transfer.backbones import TicketedResNet
from ean_transfer.errors import CheckpointError
from ean_transfer.pretrained import weights_file
from ean_transfer.supernet.masks import find_backbone, find_ticket, unwrapped
from ean_transfer.ticket import Ticket, TicketError

# What mmengine's own checkpoints hold beside tensors. It also allows `getattr`, with which a
# crafted file can reach anything; nothing here needs it.
_HARMLESS = [
    HistoryBuffer,
    np.ndarray,
    np.dtype,
    _reconstruct,
    scalar,
    *(type(np.dtype(kind)) for kind in (np.uint32, np.int64, np.float32, np.float64)),
]


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint that holds tensors and plain data; never runs code from it.

    Raises:
        CheckpointError: If the file is missing or broken, or holds anything else; the offender is
            named and there is no fallback.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise CheckpointError(f"{file}: no such checkpoint")
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # torch's reader raises anything at all where a file is broken
        if offender := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{file}: refused, since it holds more than tensors and plain data ({offender[1]})"
            ) from None
        # The reader's own advice would be to load it unsafely.
        known = isinstance(error, (RuntimeError, OSError)) and str(error)
        reason = str(error).splitlines()[0] if known else type(error).__name__
        raise CheckpointError(
            f"{file}: cannot be read, it is no checkpoint or a broken one ({reason})"
        ) from None
    for what, found in (
        ("the checkpoint", checkpoint),
        ("its meta", _part(checkpoint, "meta")),
        ("its state_dict", _part(checkpoint, "state_dict")),
    ):
        if not isinstance(found, dict):
            raise CheckpointError(
                f"{file}: expected {what} to be a dict, found {type(found).__name__}"
            )
    for name, value in _part(checkpoint, "state_dict").items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise CheckpointError(
                f"{file}: expected tensors by name in its state_dict, found {name!r:.40}: "
                f"{type(value).__name__}"
            )
    return checkpoint


def _part(checkpoint: Any, name: str) -> Any:
    return checkpoint.get(name, {}) if isinstance(checkpoint, dict) else {}


def forbid_unsafe_loading() -> None:
    """Make every local checkpoint that mmengine loads in this process go through our reader.

    mmengine's own falls back to an unsafe load with a warning.
    """

    def load_local(filename: str, map_location: Any = None) -> dict[str, Any]:
        return read_checkpoint(filename, map_location)

    CheckpointLoader.register_scheme(prefixes="", loader=load_local, force=True)


def ticket_of(checkpoint: dict[str, Any]) -> Ticket | None:
    """The ticket a checkpoint carries, ``None`` if it carries none.

    Raises:
        TicketError: If what it carries is not a ticket.
    """
    data = checkpoint.get("meta", {}).get("ticket")
    if data is None:
        return None
    if not (isinstance(data, dict) and all(isinstance(name, str) for name in data)):
        raise TicketError(f"expected a ticket's fields, found {type(data).__name__}")
    return Ticket(**data)


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


def require_its_ticket(found: Ticket, backbone: TicketedResNet, source: str) -> None:
    """Refuse weights that were trained with another ticket than the backbone's.

    Raises:
        TicketError: If the two tickets make different networks; a plain network's weights are
            taken where attention starts as the identity.
    """
    if not backbone.accepts(found):
        raise TicketError(
            f"{source} was trained with ticket {_describe(found)}, but the network has "
            f"{_describe(backbone.ticket)}: build it with the checkpoint's ticket, or train it anew"
        )


def require_weights_of(backbone: TicketedResNet, path: str, prefix: str) -> None:
    """Refuse a checkpoint that mmengine would load without a word although it is another's.

    Args:
        backbone: What it is to be loaded into.
        path: The checkpoint.
        prefix: Of the backbone's names in it.

    Raises:
        TicketError: If it was trained with another ticket.
        CheckpointError: If none of its tensors is the backbone's.
    """
    checkpoint = read_checkpoint(path)
    if found := ticket_of(checkpoint):
        require_its_ticket(found, backbone, path)
    prefix = f"{prefix.rstrip('.')}." if prefix else ""
    names = {n.removeprefix(prefix) for n in _weights(checkpoint) if n.startswith(prefix)}
    if not names & set(backbone.state_dict()):
        hint = "" if prefix else "; of a whole model, give init_cfg prefix='backbone.'"
        raise CheckpointError(f"{path}: none of its tensors belongs to the backbone{hint}")


def _weights(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    return checkpoint.get("state_dict", checkpoint)


def _require_its_ticket(checkpoint: dict[str, Any], model: nn.Module, source: str) -> None:
    """Refuse a checkpoint of another ticket; one without, or a network without, has nothing to say.

    Raises:
        TicketError: If the tickets differ, or the checkpoint's has connections and the network has
            no ticketed backbone.
    """
    found = ticket_of(checkpoint)
    if found is None:
        return
    if find_ticket(model) is not None:
        require_its_ticket(found, find_backbone(model), source)
    elif not found.is_plain:
        raise TicketError(
            f"{source} was trained with ticket {_describe(found)}, but the network's backbone "
            "takes no tickets: set it to a ticketed one, such as TicketResNet"
        )


def _describe(ticket: Ticket) -> str:
    attention = "plain" if ticket.is_plain else f"{ticket.attention}, sharing {ticket.sharing}"
    return f"{ticket} ({ticket.backbone.name}, {attention}, id {ticket.id})"


@HOOKS.register_module()
class TicketHook(Hook):
    """Writes the backbone's ticket into every checkpoint, and compares it when one is loaded.

    A network whose backbone takes no tickets is trained and loaded like any other.

    It also leaves out the log's smoothing windows and NumPy's number types, so that a checkpoint of
    ours holds nothing but tensors, numbers and strings.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        ticket = find_ticket(runner.model)
        if ticket is not None:
            checkpoint["meta"]["ticket"] = ticket.model_dump(mode="json")
        hub = checkpoint["message_hub"]
        hub["log_scalars"] = OrderedDict()
        hub["runtime_info"] = OrderedDict(
            (key, value.item() if isinstance(value, np.generic) else value)
            for key, value in hub["runtime_info"].items()
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if ticket_of(checkpoint) is None and find_ticket(runner.model) is not None:
            runner.logger.warning("the checkpoint carries no ticket: cannot compare")
        _require_its_ticket(checkpoint, runner.model, "the checkpoint")
        own = unwrapped(runner.model).state_dict()
        weights = _weights(checkpoint)
        if not set(weights) & set(own):
            raise CheckpointError("the checkpoint: none of its tensors belongs to the model")
        _require_shapes(weights, own, "the checkpoint")
        # A training may start from a part (load_from); what is tested or resumed is the whole.
        training = isinstance(runner._train_loop, BaseLoop)  # a config until it is built
        whole = runner._resume or not training
        if whole:
            _require_all(weights, own, "the checkpoint")


def load_model(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load the checkpoint of a whole model, as it is.

    Raises:
        TicketError: If it was trained with another ticket.
        CheckpointError: If it cannot be read or is of another network.
    """
    checkpoint = read_checkpoint(path)
    _require_its_ticket(checkpoint, model, str(path))
    weights, own = _weights(checkpoint), model.state_dict()
    _require_shapes(weights, own, str(path))
    _require_all(weights, own, str(path))
    model.load_state_dict({name: weights[name] for name in own})


@dataclass(frozen=True)
class LoadReport:
    """What loading a backbone's weights did; names are the backbone's keys."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]  # of the network, not in the checkpoint
    left_over: tuple[str, ...]  # of the checkpoint, not in the network
    starts_as_identity: bool = False  # the attention that is missing, see TicketedResNet

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
            :func:`~ean_transfer.pretrained.weights_file`.

    Raises:
        TicketError: If the checkpoint was trained with another ticket.
        CheckpointError: If it cannot be read, is of another width, or has nothing of a backbone.
    """
    checkpoint = read_checkpoint(weights_file(path))
    backbone = _backbone(model)
    _require_its_ticket(checkpoint, model, str(path))
    weights = _weights(checkpoint)
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
    _require_shapes(common, own, str(path))
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


def _require_shapes(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> None:
    """Refuse weights of another width: a part of them would always fit."""
    for name, tensor in own.items():
        if name in weights and weights[name].shape != tensor.shape:
            raise CheckpointError(
                f"{source}: {name} has shape {tuple(weights[name].shape)}, the network has "
                f"{tuple(tensor.shape)}: it is the checkpoint of another network"
            )


def _require_all(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str) -> None:
    """Refuse a checkpoint that lacks any of the network's tensors."""
    if missing := [name for name in own if name not in weights]:
        raise CheckpointError(
            f"{source} lacks {len(missing)} of the network's {len(own)} tensors "
            f"({missing[0]} ...): it is the checkpoint of another network"
        )
