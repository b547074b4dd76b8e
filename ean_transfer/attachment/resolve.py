"""The ticket that a network's arguments stand for: attention, sharing and ticket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ean_transfer.attention import AttentionSpec, attention_options
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import BackboneSpec, Ticket, TicketError

TicketSpec = str | os.PathLike[str] | Ticket | dict[str, Any]
"""``"none"``, ``"full"``, a ticket file's path, ``"zoo:NAME"``, a Ticket, or its fields."""


def resolve_ticket(
    spec: TicketSpec,
    *,
    backbone: str,
    blocks: Sequence[int],
    attention: AttentionSpec | None,
    sharing: str,
) -> Ticket:
    """The ticket that a backbone's arguments stand for, with all of the attention's options.

    Raises:
        TicketError: If the ticket was made for another backbone, attention, options or sharing.
        ConfigError: For an unknown attention, option or sharing.
    """
    if sharing not in ("stage", "block"):
        raise ConfigError(f"sharing is 'stage' or 'block', found {sharing!r}")
    name, options = attention_options(attention) if attention is not None else (None, {})
    ticket: Ticket | None
    if isinstance(spec, (Ticket, dict)):
        ticket = spec if isinstance(spec, Ticket) else Ticket(**spec)
        source = "the ticket"
    elif spec in ("none", "full"):
        ticket, source = None, ""
    else:
        ticket, source = Ticket.load(spec), f"ticket {os.fspath(spec)}"

    expected: dict[str, Any] = {"attention": name, "attention_options": options, "sharing": sharing}
    if ticket is None:
        if attention is None and spec == "full":
            raise ConfigError("ticket 'full' needs an attention to connect, found None")
        make = Ticket.full if spec == "full" else Ticket.none
        return make(backbone, blocks=blocks, **expected)

    wanted = BackboneSpec(name=backbone, blocks=tuple(blocks))
    if ticket.backbone != wanted:
        raise TicketError(
            f"{source} is for {_describe(ticket.backbone)}, the network is {_describe(wanted)}"
        )
    if ticket.is_plain:  # the plain network, whatever attention was meant
        return ticket.replace(**expected)
    if ticket.attention != name:
        raise TicketError(
            f"{source} connects {ticket.attention}, the network is built with attention {name}: "
            f"set the backbone's attention to {ticket.attention}, or carry the mask over with "
            f"tools/ticket.py convert --attention {name or 'NAME'}"
        )
    for option, value in ticket.attention_options.items():
        if options.get(option) != value:
            raise TicketError(
                f"{source} has {name} with {option}={value}, the network is built with "
                f"{option}={options.get(option, 'no such option')}"
            )
    if ticket.sharing != sharing:
        raise TicketError(
            f"{source} has sharing {ticket.sharing!r}, the network is built with {sharing!r}"
        )
    return ticket.replace(attention_options=options)


def _describe(spec: BackboneSpec) -> str:
    return f"{spec.name} ({'-'.join(map(str, spec.blocks))} blocks a stage)"
