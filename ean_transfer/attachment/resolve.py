"""The ticket that a network's arguments stand for: attention, sharing and ticket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from ean_transfer.attention import AttentionSpec, attention_options, build_attention
from ean_transfer.attention.base import HIDDEN_DIVISOR, with_hidden_divisor
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import BackboneSpec, Ticket, TicketError

ROUNDED_TO = 8
"""Hidden channels are a multiple of it where the reduction does not divide a block's channels, as
timm's and torchvision's are."""

TicketSpec = str | os.PathLike[str] | Ticket | dict[str, Any]
"""``"none"``, ``"full"``, a ticket file's path, ``"zoo:NAME"``, a Ticket, or its fields."""


def resolve_ticket(
    spec: TicketSpec,
    *,
    backbone: str,
    blocks: Sequence[int],
    attention: AttentionSpec | None,
    sharing: str | None,
    channels: Sequence[int] = (),
    places: Sequence[str] = (),
) -> tuple[Ticket, AttentionSpec | None]:
    """Return the ticket and the attention that a network's arguments stand for.

    The ticket has all of the attention's options. What the arguments leave open, it decides.

    Args:
        spec: The ticket as the arguments have it.
        backbone: Name of the network in tickets.
        blocks: Number of residual blocks per stage.
        attention: The network's attention; ``None``: the ticket's.
        sharing: The network's sharing, ``"stage"`` or ``"block"``; ``None``: the ticket's.
        channels: Channels of the blocks of another library's network. If the attention's reduction
            does not divide one of them, hidden channels are rounded, and the ticket says so.
        places: Names of the modules that stand for the blocks, if a user named them. The ticket
            gets them in place of its own, which may be of another network.

    Raises:
        TicketError: The ticket cannot be read, or was made for another backbone, attention, options
            or sharing.
        ConfigError: The attention or an option is unknown.
    """
    network = BackboneSpec(name=backbone, blocks=tuple(blocks), places=tuple(places))
    if spec in ("none", "full"):
        if attention is not None:
            attention = _rounded_if_needed(attention, channels)
        make = Ticket.full if spec == "full" else Ticket.none
        fields = _fields(attention, sharing or "stage")
        return make(backbone, blocks=blocks, **fields).replace(backbone=network), attention

    ticket = _given(spec)
    source = "the ticket" if isinstance(spec, (dict, Ticket)) else f"ticket {os.fspath(spec)}"
    if attention is None and not ticket.is_plain:
        attention = {"type": ticket.attention, **ticket.attention_options}
    elif attention is not None and (divisor := ticket.attention_options.get(HIDDEN_DIVISOR)):
        attention = with_hidden_divisor(attention, divisor)
    fields = _fields(attention, sharing or ticket.sharing)
    if differences := _differences(ticket, network, **fields):
        raise TicketError(
            f"{source} does not fit the network: {'; '.join(differences)}. Build the network with "
            "what the ticket has, or carry the ticket's mask over with ean ticket convert"
        )
    # A plain ticket is the plain network, whatever attention it was meant for.
    kept = fields if ticket.is_plain else {"attention_options": fields["attention_options"]}
    return ticket.replace(backbone=network, **kept), attention


def places_in(spec: TicketSpec) -> tuple[str, ...]:
    """The modules that a ticket names as its places, first stage first; empty for none.

    Raises:
        TicketError: The ticket cannot be read.
    """
    return () if spec in ("none", "full") else _given(spec).backbone.places


def _given(spec: TicketSpec) -> Ticket:
    if isinstance(spec, dict):
        return Ticket(**spec)
    return spec if isinstance(spec, Ticket) else Ticket.load(spec)


def _rounded_if_needed(attention: AttentionSpec, channels: Sequence[int]) -> AttentionSpec:
    """The attention with its hidden channels rounded, if it cannot be built without."""
    rounded = with_hidden_divisor(attention, ROUNDED_TO)
    if rounded is attention:
        return attention
    try:
        with torch.device("meta"):
            for number in set(channels):
                build_attention(attention, number)
    except ConfigError:
        return rounded
    return attention


def _fields(attention: AttentionSpec | None, sharing: str) -> dict[str, Any]:
    """A ticket's fields that say which attention is connected, and how."""
    name, options = attention_options(attention) if attention is not None else (None, {})
    return {"attention": name, "attention_options": options, "sharing": sharing}


def _differences(
    ticket: Ticket,
    network: BackboneSpec,
    attention: str | None,
    attention_options: dict[str, Any],
    sharing: str,
) -> list[str]:
    """Where a ticket differs from the network that is built, for a message."""
    pairs: dict[str, tuple[object, object]] = {
        "backbone": (_described(ticket.backbone), _described(network))
    }
    own, others = ticket.backbone.places, network.places
    if sorted(own) == sorted(others):  # else the user named others, to carry the ticket to them
        pairs["order of places"] = (", ".join(own), ", ".join(others))
    if not ticket.is_plain:
        pairs["attention"] = (ticket.attention, attention)
        pairs["sharing"] = (ticket.sharing, sharing)
        if ticket.attention == attention:
            # An option that the ticket does not record is the network's to choose.
            for option, value in ticket.attention_options.items():
                pairs[option] = (value, attention_options.get(option))
    return [
        f"{field} {of_ticket}, but the network has {of_network}"
        for field, (of_ticket, of_network) in pairs.items()
        if of_ticket != of_network
    ]


def _described(spec: BackboneSpec) -> str:
    return f"{spec.name} ({'-'.join(map(str, spec.blocks))} blocks per stage)"
