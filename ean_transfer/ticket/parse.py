"""Tickets from what a person writes: bits, decimals, words, and a mask carried elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ean_transfer.ticket import Option, Sharing, Ticket, TicketError
from ean_transfer.ticket.architectures import blocks_a_stage

WORDS = ("none", "full", "random")
"""Tickets that have a name and need a backbone."""
MAX_DIGITS = 1500
"""Of a stage's number; Python reads no more than 4,300."""


def read_ticket(
    source: str,
    backbone: str | None = None,
    attention: str = "SE",
    *,
    sparsity: float = 0.5,
    seed: int = 0,
    **fields: Any,
) -> Ticket:
    """The ticket that a person's text stands for.

    Args:
        source: A ticket file; ``zoo:NAME``; bits (``"100 1011 010011 011"``); the papers' decimals
            (``"(4, 11, 19, 3)"``, brackets optional); ``none``, ``full`` or ``random``.
        backbone: Name of the backbone, for all but files and the zoo, which say it themselves.
        attention: Name of the attention, likewise.
        sparsity: Of ``random``: the share of blocks without attention.
        seed: Of ``random``.
        **fields: ``attention_options`` and ``sharing``, again for all but files and the zoo.

    Raises:
        TicketError: If the text stands for no valid ticket, or its backbone is not known.
    """
    if source not in WORDS and not _is_numbers(source):
        return Ticket.load(source)
    if backbone is None:
        raise TicketError(f"{source!r} does not say for which backbone: give --backbone NAME")
    if source == "none":
        return Ticket.none(backbone, attention, **fields)
    if source == "full":
        return Ticket.full(backbone, attention, **fields)
    if source == "random":
        return Ticket.random(backbone, attention, sparsity=sparsity, seed=seed, **fields)
    groups = re.findall(r"\d+", source)
    if _is_decimal(groups, blocks_a_stage(backbone) or ()):
        if any(len(group) > MAX_DIGITS for group in groups):
            raise TicketError(
                f"expected numbers of at most {MAX_DIGITS} digits, found {source!r:.40}"
            )
        decimal = [int(group) for group in groups]
        return Ticket.from_decimal(decimal, backbone, attention, **fields)
    return Ticket.from_bits(" ".join(groups), backbone, attention, **fields)


def _is_numbers(source: str) -> bool:
    return re.fullmatch(r"[\d\s,\-()\[\]]*\d[\d\s,\-()\[\]]*", source) is not None


def _is_decimal(groups: Sequence[str], blocks: Sequence[int]) -> bool:
    """Whether groups of digits are decimals and not bits.

    Only 0 and 1 are bits if there are as many as blocks, and no decimal form has as many digits;
    ``1 0 1 0`` of a ResNet-50 is decimal. What fits neither is left to the better error message.
    """
    digits = "".join(groups)
    if set(digits) - {"0", "1"}:
        return True
    if len(digits) == sum(blocks) or len(groups) != len(blocks):
        return False
    return all(int(group) < 2**length for group, length in zip(groups, blocks, strict=True))


def parse_options(pairs: Iterable[str]) -> dict[str, Option]:
    """Attention options from ``KEY=VALUE``; a value is a number, ``true``, ``false`` or text.

    Raises:
        TicketError: If a pair is not of this form.
    """
    options: dict[str, Option] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if not (key and equals and text) or not isinstance(value, bool | int | float | str):
            raise TicketError(f"expected an option as KEY=VALUE, e.g. reduction=16, found {pair!r}")
        options[key] = value
    return options


def carry(
    ticket: Ticket,
    *,
    backbone: str | None = None,
    attention: str | None = None,
    options: dict[str, Option] | None = None,
    sharing: Sharing | None = None,
) -> Ticket:
    """The same mask on another network; what is ``None`` stays as it is.

    Options belong to an attention: another attention starts from its own defaults. Where anything
    changes, the provenance says which ticket the mask was carried from.

    Raises:
        TicketError: If the other backbone is unknown or has other blocks a stage.
    """
    attention = attention or ticket.attention
    if options is None:
        options = ticket.attention_options if attention == ticket.attention else {}
    name = backbone or ticket.backbone.name
    carried = Ticket.from_bits(
        " ".join(ticket.stages),
        name,
        attention,
        # The same backbone need not be a known one: the ticket says its blocks.
        blocks=ticket.backbone.blocks if name == ticket.backbone.name else None,
        attention_options=options,
        sharing=sharing or ticket.sharing,
        asr=ticket.asr,
    )
    if carried.replace(provenance=ticket.provenance) == ticket:
        return ticket
    origin = {"id": ticket.id, **ticket.model_dump(include={"attention", "sharing", "provenance"})}
    return carried.replace(
        provenance={"carried_from": {"backbone": ticket.backbone.name, **origin}}
    )
