"""Fits a checkpoint to a network: its ticket, and its tensors' names and shapes.

Everything that loads weights goes through :func:`fitted`: ``--weights``, ``load_from``, a
``Pretrained`` of an ``init_cfg``, and every command that takes a checkpoint.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attachment.batchnorm import require_norms
from ean_transfer.attachment.network import find_backbone, find_ticket
from ean_transfer.attachment.other_names import renamings
from ean_transfer.attention.published import in_our_form
from ean_transfer.errors import CheckpointError
from ean_transfer.ticket import TicketError
from ean_transfer.ticket.display import described
from ean_transfer.ticket.files import ticket_of

_COMPILED = "_orig_mod"  # torch.compile puts it between the names of a model's parts


@dataclass(frozen=True)
class Fitted:
    """A checkpoint's tensors under a network's names.

    Attributes:
        weights: Name -> tensor, also of tensors that the network lacks.
        changes: What was done to the checkpoint's own names, one text per step.
    """

    weights: dict[str, Tensor]
    changes: tuple[str, ...] = ()


def fitted(
    checkpoint: dict[str, Any],
    network: nn.Module,
    source: str,
    *,
    whole: bool = False,
    parts: tuple[str, ...] = ("",),
) -> Fitted:
    """The tensors of a checkpoint that belong to a network, or an error that says why none do.

    Whatever lets more of them belong to the network is done: a dict around the tensors
    (``{"model": ...}``) and a prefix that all of them share (``module.``), or all but a head
    (``encoder.``), are taken off, a prefix that all of the network's share is put on, and layers
    are renamed that another library names otherwise. Attention of timm and mmpretrain is put into
    our form.

    Args:
        checkpoint: The checkpoint.
        network: The network, with or without a ticket.
        source: The checkpoint's name in messages.
        whole: Whether the checkpoint must have all of the network's tensors.
        parts: Prefixes of which one leads to the network's part of a larger one, such as
            ``"backbone."``; the one with the most fitting tensors is taken.

    Raises:
        TicketError: The checkpoint was trained with another ticket.
        CheckpointError: No tensor belongs to the network, its BatchNorm was folded away, or see
            :func:`require_weights`.
    """
    require_model_ticket(checkpoint, network, source)
    require_norms(network, checkpoint, source, parts)
    own = network.state_dict()
    best, most = Fitted({}), -1
    for candidate in _candidates(checkpoint, parts, own):
        fitting = len(own.keys() & candidate.weights.keys())
        if fitting > most:
            best, most = candidate, fitting
    weights = in_our_form(best.weights, network)
    if number := len(best.weights.keys() - weights.keys()):
        change = f"put {number} tensors of published attention into our form"
        best = Fitted(weights, (*best.changes, change))
    require_weights(weights, own, source, whole=whole)
    return best


def _candidates(
    checkpoint: dict[str, Any], parts: tuple[str, ...], own: Mapping[str, Tensor]
) -> Iterator[Fitted]:
    """Yield the tensors of a checkpoint under all names that may be meant."""
    for bare in _unwrapped(checkpoint, parts):
        for change, weights in (("", bare.weights), *renamings(bare.weights, own)):
            for prefix in _shared(list(own)):
                put_on = [f"put the prefix {prefix!r} on"] if prefix else []
                yield Fitted(
                    {f"{prefix}{name}": tensor for name, tensor in weights.items()},
                    (*bare.changes, *filter(None, [change]), *put_on),
                )


def _unwrapped(checkpoint: dict[str, Any], parts: tuple[str, ...]) -> Iterator[Fitted]:
    """Yield the tensors of a checkpoint without what was put around them and their names."""
    for wrapper, tensors in sorted(_tensors(checkpoint), key=lambda item: item[0] != "state_dict"):
        names = {name: _without(name, _COMPILED) for name in tensors}
        # A count of steps (averaged models) is not of the model and lacks its prefix.
        counted = [names[name] for name, tensor in tensors.items() if tensor.ndim]
        prefixes = dict.fromkeys([*_shared(counted), *_of_most(counted)])
        changes = [] if wrapper in ("", "state_dict") else [f"took its {wrapper!r}"]
        if list(names) != list(names.values()):
            changes.append(f"took {_COMPILED!r} out of the names")
        for prefix in prefixes:
            taken_off = [f"took the prefix {prefix!r} off"] if prefix not in ("", *parts) else []
            for part in parts:
                start = prefix + part
                weights = {
                    name.removeprefix(start): tensors[original]
                    for original, name in names.items()
                    if name.startswith(start)
                }
                yield Fitted(weights, (*changes, *taken_off))


def _tensors(value: Mapping[Any, Any], path: str = "", depth: int = 2) -> Iterator[Any]:
    """Yield the tensors by name of a dict and of the dicts in it, with their path."""
    tensors = {n: t for n, t in value.items() if isinstance(n, str) and isinstance(t, Tensor)}
    if tensors:
        yield path, tensors
    for key, inner in value.items() if depth else ():
        if isinstance(inner, Mapping):
            yield from _tensors(inner, f"{path}.{key}" if path else str(key), depth - 1)


def _without(name: str, part: str) -> str:
    return ".".join(word for word in name.split(".") if word != part)


def _shared(names: list[str]) -> list[str]:
    """Prefixes that end in a dot and that all names share, the empty one first."""
    words = os.path.commonprefix([name.split(".")[:-1] for name in names])
    return ["", *(".".join(words[: end + 1]) + "." for end in range(len(words)))]


def _of_most(names: list[str]) -> list[str]:
    """The first part of most names: transformers and others have a network beside its head."""
    firsts = Counter(name.partition(".")[0] + "." for name in names)
    # Not of two networks in one file, such as student and teacher, of which neither is meant more.
    return [prefix for prefix, count in firsts.items() if count > len(names) / 2]


def require_model_ticket(checkpoint: dict[str, Any], model: nn.Module, source: str) -> None:
    """Refuse a checkpoint of another ticket than the model's; without a ticket it passes.

    Args:
        checkpoint: The checkpoint.
        model: The model, with or without a ticketed backbone.
        source: The checkpoint's name in messages.

    Raises:
        TicketError: The tickets differ, or the checkpoint's has connections and the model has no
            ticketed backbone.
    """
    ticket = ticket_of(checkpoint)
    if ticket is None:
        return
    if find_ticket(model) is not None:
        find_backbone(model).require_ticket(ticket, source)
    elif not ticket.is_plain:
        raise TicketError(
            f"{source} was trained with ticket {described(ticket)}, but the network's backbone "
            "takes no tickets: set it to a ticketed one, such as TicketResNet"
        )


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor with a value that is NaN or infinite; ``None`` if there is none."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return name
    return None


def require_weights(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str, *, whole: bool = False
) -> None:
    """Refuse weights of another network, of which a part would often fit without a word.

    Args:
        weights: Name -> tensor, of the checkpoint.
        own: Name -> tensor, of the network; names that the checkpoint lacks are allowed.
        source: The checkpoint's name in messages.
        whole: Whether the checkpoint must have all of the network's tensors.

    Raises:
        CheckpointError: No tensor belongs to the network, one has another shape or is NaN or
            infinite, attention of ``attach()`` has no place, or a whole network lacks a tensor.
    """
    # Attention takes its gain from the weights, and has none if they have none.
    missing = [name for name in own if name not in weights and not _is_gain(name)]
    attached = [n for n in weights if n.startswith("attention.stage") and not _is_gain(n)]
    shapes = [
        f"{name} has shape {tuple(weights[name].shape)}, the network has {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if not any(name in weights for name in own):
        problem = (
            f"none of its {len(weights)} tensors belongs to the network: it has "
            f"{_few(weights)}, the network has {_few(own)}"
        )
    elif shapes:
        problem = shapes[0]
    elif any(name not in own for name in attached):
        problem = "holds attention that attach() connected, which would be lost without attach()"
    elif whole and missing:
        problem = f"lacks {len(missing)} of the network's {len(own)} tensors ({missing[0]} ...)"
    elif name := not_finite({name: weights[name] for name in own if name in weights}):
        raise CheckpointError(
            f"{source}: expected finite weights, found NaN or infinity in {name}: use a checkpoint "
            "from before the training diverged"
        )
    else:
        return
    raise CheckpointError(f"{source}: {problem}: it is the checkpoint of another network")


def _is_gain(name: str) -> bool:
    *parents, last = name.split(".")
    return last == "gain" and "attention" in parents


def first_of(names: Sequence[str]) -> str:
    """How many tensors there are, and the first names, for messages."""
    return f"{len(names)} ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"


def _few(names: Mapping[str, Tensor]) -> str:
    """The first, the middle and the last name: stem, blocks and head."""
    listed = list(names)
    chosen = [listed[0], listed[len(listed) // 2], listed[-1]] if listed else ["nothing"]
    return ", ".join(dict.fromkeys(chosen))
