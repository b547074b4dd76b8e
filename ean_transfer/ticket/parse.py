"""Tickets and options from what a person types: bits, decimals, words, files, ``KEY=VALUE``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ean_transfer.ticket.architectures import blocks_per_stage
from ean_transfer.ticket.model import Option, TicketError
from ean_transfer.ticket.ticket import Ticket

WORDS = ("none", "full", "random")
"""Tickets that have a name and need a backbone."""
_MAX_LENGTH = 4000  # of bits and decimals; Python reads no numbers of more than 4,300 digits


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
        attention: Name of the attention, for all but files and the zoo.
        sparsity: Share of blocks without attention, for ``random``.
        seed: Seed of the draw, for ``random``.
        **fields: ``attention_options`` and ``sharing``, for all but files and the zoo.

    Raises:
        TicketError: The text stands for no valid ticket, or its backbone is not known.
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
    if _is_decimal(groups, blocks_per_stage(backbone) or ()):
        return Ticket.from_decimal([int(group) for group in groups], backbone, attention, **fields)
    return Ticket.from_bits(" ".join(groups), backbone, attention, **fields)


def _is_numbers(source: str) -> bool:
    numbers = re.fullmatch(r"[\d\s,\-()\[\]]*\d[\d\s,\-()\[\]]*", source)
    return numbers is not None and len(source) <= _MAX_LENGTH


def _is_decimal(groups: Sequence[str], blocks: Sequence[int]) -> bool:
    """Whether groups of digits are decimals and not bits.

    Zeros and ones are bits if there are as many of them as blocks; no decimal form has as many
    digits. So ``1 0 1 0`` of a ResNet-50 is decimal. What fits neither form is read as the one
    with the better error message.
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
        TicketError: A pair is not of this form, or a key comes twice.
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
        if key in options:
            raise TicketError(f"option {key} is given twice")
        options[key] = value
    return options
