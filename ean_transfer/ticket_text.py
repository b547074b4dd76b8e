"""Tickets as people write, read and compare them: in a terminal, without torch.

Whatever comes out of a ticket file is printed through :func:`~ean_transfer.cli.printable`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ean_transfer.architectures import BLOCKS
from ean_transfer.cli import printable
from ean_transfer.ticket import Option, Sharing, Ticket, TicketError

WORDS = ("none", "full", "random")
"""Tickets that have a name and need a backbone."""
_NETWORK_FIELDS = ("backbone", "attention", "attention_options", "sharing", "stages")


# -- from what a person writes ---------------------------------------------------------------------


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
    if _is_decimal(groups, BLOCKS.get(backbone, ())):
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
    )
    changed = any(getattr(carried, field) != getattr(ticket, field) for field in _NETWORK_FIELDS)
    if not changed:
        return ticket
    origin = {"id": ticket.id, **ticket.model_dump(include={"attention", "sharing", "provenance"})}
    return carried.replace(
        provenance={"carried_from": {"backbone": ticket.backbone.name, **origin}}
    )


# -- to what a person reads ------------------------------------------------------------------------


class Cells(NamedTuple):
    """How a diagram draws a block."""

    connected: str
    plain: str


UNICODE_CELLS = Cells("\N{BLACK SQUARE}", "\N{WHITE SQUARE}")
ASCII_CELLS = Cells("#", ".")
_BOLD_GREEN, _DIM, _RESET = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"


def summary(ticket: Ticket) -> str:
    """One line: ``SGE on resnet50, one module a stage, 9 of 16 blocks, id 39d1c2e5d0a1``."""
    modules = "a module a block" if ticket.sharing == "block" else "one module a stage"
    options = ", ".join(f"{key}={value}" for key, value in ticket.attention_options.items())
    attention = f"{ticket.attention or 'no attention'}{f' ({options})' if options else ''}"
    return printable(
        f"{attention} on {ticket.backbone.name}, {modules}, "
        f"{ticket.connected} of {ticket.num_blocks} blocks, id {ticket.id}"
    )


def diagram(ticket: Ticket, cells: Cells = UNICODE_CELLS, color: bool = False) -> str:
    """A line a stage, a cell a block, first block first, and a legend."""
    width = 2 * max(ticket.backbone.blocks) - 1

    def paint(text: str, style: str) -> str:
        return f"{style}{text}{_RESET}" if color else text

    drawn = {"1": paint(cells.connected, _BOLD_GREEN), "0": paint(cells.plain, _DIM)}
    lines = []
    for number, bits in enumerate(ticket.stages, start=1):
        row = " ".join(drawn[bit] for bit in bits) + " " * (width - 2 * len(bits) + 1)
        lines.append(f"stage {number}   {row}   {bits.count('1')} of {len(bits)}")
    lines += ["", f"{drawn['1']} block with attention   {drawn['0']} block without"]
    return "\n".join(lines)


def description(ticket: Ticket, cells: Cells = UNICODE_CELLS, color: bool = False) -> str:
    """Everything a ticket says, for a terminal."""
    lines = [
        summary(ticket),
        "",
        diagram(ticket, cells, color),
        "",
        f"bits      {ticket}",
        f"decimal   {ticket.to_decimal()}",
        f"sparsity  {ticket.sparsity:.3f}",
    ]
    if ticket.provenance:
        lines += ["", "provenance"]
        lines += [
            f"  {printable(str(key))}: {_value_text(value)}"
            for key, value in ticket.provenance.items()
        ]
    return "\n".join(lines)


def _value_text(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def is_unconfirmed(ticket: Ticket) -> bool:
    """Whether the ticket says of itself that its source does not state it."""
    return ticket.provenance.get("confirmed") is False


def zoo_table(tickets: dict[str, Ticket]) -> str:
    """A line a ticket of the zoo, the unconfirmed ones marked."""
    rows = [("name", "attention", "backbone", "connected", "bits", "decimal", "")]
    rows += [
        (
            f"zoo:{name}",
            str(ticket.attention),
            ticket.backbone.name,
            f"{ticket.connected} of {ticket.num_blocks}",
            str(ticket),
            str(ticket.to_decimal()),
            "unconfirmed" if is_unconfirmed(ticket) else "",
        )
        for name, ticket in tickets.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_data(ticket: Ticket) -> dict[str, Any]:
    """What the ticket says and what follows from it, for programs."""
    return {
        "id": ticket.id,
        "bits": str(ticket),
        "decimal": list(ticket.to_decimal()),
        "connected": ticket.connected,
        "num_blocks": ticket.num_blocks,
        "sparsity": ticket.sparsity,
        "ticket": json.loads(ticket.to_json()),
    }


# -- two tickets -----------------------------------------------------------------------------------


class BlockDifference(NamedTuple):
    """A block that is connected in one ticket only; stage and block count from 1."""

    stage: int
    block: int
    connected_in: Literal["first", "second"]


@dataclass(frozen=True)
class Difference:
    """What differs between two tickets.

    Attributes:
        same_network: Whether both make the same network (equal ids).
        fields: Field -> its two values, of those that make the network.
        blocks: The blocks that differ; ``None`` if the backbones have other blocks a stage.
        provenance: Key -> its two values (``None`` where absent).
    """

    same_network: bool
    fields: dict[str, tuple[Any, Any]]
    blocks: list[BlockDifference] | None
    provenance: dict[str, tuple[Any, Any]]


def compare(first: Ticket, second: Ticket) -> Difference:
    """Field by field and block by block."""
    one, two = (ticket.model_dump(mode="json") for ticket in (first, second))
    blocks = None
    if first.backbone.blocks == second.backbone.blocks:
        blocks = [
            BlockDifference(stage, block, "first" if bit == "1" else "second")
            for stage, pair in enumerate(zip(first.stages, second.stages, strict=True), start=1)
            for block, (bit, other) in enumerate(zip(*pair, strict=True), start=1)
            if bit != other
        ]
    keys = list(dict.fromkeys([*one["provenance"], *two["provenance"]]))
    return Difference(
        same_network=first.id == second.id,
        fields={key: (one[key], two[key]) for key in _NETWORK_FIELDS if one[key] != two[key]},
        blocks=blocks,
        provenance={
            key: pair
            for key in keys
            if (pair := (one["provenance"].get(key), two["provenance"].get(key)))[0] != pair[1]
        },
    )


def difference_text(first: Ticket, second: Ticket) -> str:
    """A comparison for a terminal: the verdict, then ``-`` the first ticket, ``+`` the second."""
    difference = compare(first, second)
    lines = ["same network" if difference.same_network else "different networks"]
    for title, pairs in (("", difference.fields), ("provenance.", difference.provenance)):
        for key, values in pairs.items():
            lines.append(f"{title}{printable(key)}")
            lines += [
                f"  {sign} {_value_text(value)}"
                for sign, value in zip("-+", values, strict=True)
                if value is not None
            ]
    if difference.blocks is None:
        lines.append("blocks: not comparable, the backbones have other blocks a stage")
    elif difference.blocks:
        lines.append(
            f"blocks: {len(difference.blocks)} differ "
            "(- first only, + second only, = connected in both, . in neither)"
        )
        signs = {"10": "-", "01": "+", "11": "=", "00": "."}
        for number, pair in enumerate(zip(first.stages, second.stages, strict=True), start=1):
            row = " ".join(signs[bit + other] for bit, other in zip(*pair, strict=True))
            lines.append(f"  stage {number}   {row}")
    return "\n".join(lines)
