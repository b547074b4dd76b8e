"""Tickets as text for people: one line, a diagram, a table, the difference between two.

All text from a ticket file goes through :func:`~ean_transfer.io.terminal.printable`, because a
stranger's file may hold control characters.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TextIO

from ean_transfer.io.terminal import aligned, printable, shortened
from ean_transfer.ticket.mask import mask_of
from ean_transfer.ticket.provenance_text import provenance_lines, value_text
from ean_transfer.ticket.ticket import Ticket

_NETWORK_FIELDS = ("backbone", "attention", "attention_options", "sharing", "stages", "asr")


class Cells(NamedTuple):
    """The characters that a diagram draws, one for each of :data:`KINDS`."""

    connected: str
    plain: str
    to_fold: str
    both: str


UNICODE_CELLS = Cells(
    "\N{BLACK SQUARE}",
    "\N{WHITE SQUARE}",
    "\N{WHITE SQUARE CONTAINING BLACK SMALL SQUARE}",
    "\N{SQUARE WITH DIAGONAL CROSSHATCH FILL}",
)
ASCII_CELLS = Cells("#", ".", "+", "*")
KINDS = {
    (True, False): "block with attention",
    (False, False): "block without",
    (False, True): "with folded attention",
    (True, True): "with both",
}
"""Whether a block has attention, and whether it has one that is folded -> what a legend says."""
_BOLD_GREEN, _DIM, _RESET = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"


def cells_for(stream: TextIO) -> Cells:
    """The characters that a stream can show."""
    try:
        "".join(UNICODE_CELLS).encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return ASCII_CELLS
    return UNICODE_CELLS


def summary(ticket: Ticket) -> str:
    """One line: ``SGE on resnet50, one module per stage, 9 of 16 blocks, id 39d1c2e5d0a1``."""
    options = ", ".join(f"{key}={value}" for key, value in ticket.attention_options.items())
    attention = f"{ticket.attention or 'no attention'}{f' ({options})' if options else ''}"
    return printable(
        f"{shortened(attention, 200)} on {shortened(ticket.backbone.name)}, "
        f"one module per {ticket.sharing}, "
        f"{blocks_text(ticket)}, id {ticket.id}"
    )


def blocks_text(ticket: Ticket) -> str:
    """In how many blocks attention is: ``9 of 16 blocks``; ``0 of 16 blocks, 9 to fold``."""
    fold = f", {ticket.to_fold} to fold" if ticket.to_fold else ""
    return f"{ticket.connected} of {ticket.num_blocks} blocks{fold}"


def described(ticket: Ticket) -> str:
    """One line for a message: bits, backbone, attention, sharing and id."""
    attention = f"{shortened(str(ticket.attention))}, sharing {ticket.sharing}"
    return (
        f"{shortened(str(ticket), 500)} ({shortened(ticket.backbone.name)}, "
        f"{'plain' if ticket.is_plain else attention}, id {ticket.id})"
    )


def diagram(ticket: Ticket, cells: Cells = UNICODE_CELLS, color: bool = False) -> str:
    """One line per stage, one cell per block, first block first, and a legend."""
    width = 2 * max(ticket.backbone.blocks) - 1

    def paint(text: str, style: str) -> str:
        return f"{style}{text}{_RESET}" if color else text

    drawn = {
        kind: paint(cell, _BOLD_GREEN if any(kind) else _DIM)
        for kind, cell in zip(KINDS, cells, strict=True)
    }
    lines = []
    for number, kinds in enumerate(kinds_of(ticket), start=1):
        row = " ".join(drawn[kind] for kind in kinds) + " " * (width - 2 * len(kinds) + 1)
        lines.append(f"stage {number}   {row}   {count_text(kinds)}")
    legend = "   ".join(f"{drawn[kind]} {words}" for kind, words in legend_of(ticket).items())
    return "\n".join([*lines, "", legend])


def kinds_of(ticket: Ticket) -> list[list[tuple[bool, bool]]]:
    """The kind of each block, one of :data:`KINDS`, stage by stage."""
    stages = zip(ticket.stages, ticket.asr_stages, strict=True)
    return [[*zip(mask_of(bits), mask_of(asr), strict=True)] for bits, asr in stages]


def count_text(kinds: list[tuple[bool, bool]]) -> str:
    """What is said beside the blocks of a stage: ``2 of 4``; ``0 of 4, 2 to fold``."""
    to_fold = sum(folded for _, folded in kinds)
    count = f"{sum(connected for connected, _ in kinds)} of {len(kinds)}"
    return f"{count}, {to_fold} to fold" if to_fold else count


def legend_of(ticket: Ticket) -> dict[tuple[bool, bool], str]:
    """The kinds that a legend explains: the usual two, and the others that the ticket has."""
    used = {kind for kinds in kinds_of(ticket) for kind in kinds}
    return {kind: words for kind, words in KINDS.items() if kind in used or not kind[1]}


def description(ticket: Ticket, cells: Cells = UNICODE_CELLS, color: bool = False) -> str:
    """Everything a ticket says, for a terminal."""
    lines = [
        summary(ticket),
        "",
        diagram(ticket, cells, color),
        "",
        f"bits      {ticket}",
        *([] if ticket.to_fold else [f"decimal   {ticket.to_decimal()}"]),
        f"sparsity  {ticket.sparsity:.3f}",
    ]
    if ticket.backbone.places:
        lines += ["", "places"]
        lines += [
            f"  {int(bit)}  {printable(name)}"
            for bit, name in zip(ticket.mask, ticket.backbone.places, strict=True)
        ]
    if ticket.provenance:
        lines += ["", "provenance"]
        lines += [f"  {line}" for line in provenance_lines(ticket.provenance)]
    return "\n".join(lines)


def ascii_json(text: str) -> str:
    """JSON with all but ASCII escaped: a stranger's control characters do not reach a terminal."""
    return re.sub(r"[^\x00-\x7f]", lambda match: json.dumps(match[0])[1:-1], text)


def is_unconfirmed(ticket: Ticket) -> bool:
    """Whether the ticket's provenance says that its source does not state the mask."""
    return ticket.provenance.get("confirmed") is False


def zoo_table(tickets: dict[str, Ticket]) -> str:
    """A table of the zoo, one line per ticket, with who confirmed it."""
    rows = [("name", "attention", "backbone", "connected", "bits", "decimal", "confirmed by")]
    rows += [
        (
            f"zoo:{name}",
            str(ticket.attention),
            ticket.backbone.name,
            f"{ticket.connected} of {ticket.num_blocks}",
            str(ticket),
            str(ticket.to_decimal()),
            "unconfirmed" if is_unconfirmed(ticket) else ticket.provenance.get("confirmed_by", ""),
        )
        for name, ticket in tickets.items()
    ]
    return aligned(rows)


def as_data(ticket: Ticket) -> dict[str, Any]:
    """The ticket and what follows from it as plain data, for programs."""
    return {
        "id": ticket.id,
        "bits": str(ticket),
        "decimal": None if ticket.to_fold else list(ticket.to_decimal()),
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
        same_network: Whether both make the same network (equal ids). ``None``: they do if the
            options that only one ticket names are the attention's defaults, which are not known
            without loading torch.
        fields: Field -> its two values, for the fields that make the network and differ.
        blocks: The blocks that differ; ``None`` if the backbones differ in blocks per stage.
        provenance: Key -> its two values (``None`` where absent), for the keys that differ.
    """

    same_network: bool | None
    fields: dict[str, tuple[Any, Any]]
    blocks: list[BlockDifference] | None
    provenance: dict[str, tuple[Any, Any]]


def compare(first: Ticket, second: Ticket) -> Difference:
    """Compare two tickets field by field and block by block."""
    one, two = (ticket.model_dump(mode="json") for ticket in (first, second))
    blocks = None
    if first.backbone.blocks == second.backbone.blocks:
        blocks = [
            BlockDifference(stage, block, "first" if bit else "second")
            for stage, pair in enumerate(zip(first.stages, second.stages, strict=True), start=1)
            for block, (bit, other) in enumerate(zip(*map(mask_of, pair), strict=True), start=1)
            if bit != other
        ]
    keys = list(dict.fromkeys([*one["provenance"], *two["provenance"]]))
    return Difference(
        same_network=_make_the_same_network(first, second),
        fields={key: (one[key], two[key]) for key in _NETWORK_FIELDS if one[key] != two[key]},
        blocks=blocks,
        provenance={
            key: pair
            for key in keys
            if (pair := (one["provenance"].get(key), two["provenance"].get(key)))[0] != pair[1]
        },
    )


def _make_the_same_network(first: Ticket, second: Ticket) -> bool | None:
    if first.id == second.id:
        return True
    one, two = first.attention_options, second.attention_options
    # With equal options the ids would be equal, and no option has two values.
    depends = (
        first.replace(attention_options=two).id == second.id
        and one.keys() != two.keys()
        and all(one[key] == two[key] for key in one.keys() & two.keys())
    )
    return None if depends else False


def _verdict(first: Ticket, second: Ticket, same_network: bool | None) -> str:
    if same_network is not None:
        return "same network" if same_network else "different networks"
    both = (first.attention_options, second.attention_options)
    options = [
        f"{printable(shortened(key))} "
        + " and ".join(value_text(own[key]) if key in own else "not given" for own in both)
        for key in sorted(both[0].keys() ^ both[1].keys())
    ]
    return (
        f"the same mask; options differ: {', '.join(options)}: "
        "the same network if the options that only one gives are the defaults"
    )


def difference_text(first: Ticket, second: Ticket) -> str:
    """A comparison for a terminal: the verdict, the blocks as a picture, then what else differs.

    ``-`` is the first ticket, ``+`` the second.
    """
    difference = compare(first, second)
    lines = [_verdict(first, second, difference.same_network)]
    if difference.blocks is None:
        lines.append("blocks: not comparable, the backbones differ in blocks per stage")
    else:
        lines.append(
            f"blocks: {len(difference.blocks)} differ "
            "(- first only, + second only, = connected in both, . in neither)"
        )
        signs = {"10": "-", "01": "+", "11": "=", "00": "."}
        for number, pair in enumerate(zip(first.stages, second.stages, strict=True), start=1):
            row = " ".join(signs[bit + other] for bit, other in zip(*pair, strict=True))
            lines.append(f"  stage {number}   {row}")
    for title, pairs in (("", difference.fields), ("provenance.", difference.provenance)):
        for key, values in pairs.items():
            lines.append(f"{title}{printable(shortened(key))}")
            lines += [
                f"  {sign} {value_text(value)}"
                for sign, value in zip("-+", values, strict=True)
                if value is not None
            ]
    return "\n".join(lines)
