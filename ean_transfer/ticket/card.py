"""A page about a ticket for a colleague or a model hub: its picture, scores, costs and commands.

The page is Markdown with the ticket file inside, the picture an SVG beside it. Text of a stranger's
ticket is escaped in both.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ean_transfer.io.terminal import printable, shortened
from ean_transfer.ticket.display import (
    ascii_json,
    blocks_text,
    count_text,
    kinds_of,
    legend_of,
    summary,
)
from ean_transfer.ticket.ticket import Ticket

_CELL, _GAP, _LEFT, _LINE, _LEGEND = 22, 5, 84, 32, 190  # pixels
_CONNECTED, _PLAIN, _TEXT = "#009e73", "#ffffff", "#444444"
_FACTS = {
    "data": "data",
    "config": "searched by config",
    "source": "source",
    "strategy": "strategy",
    "images": "held-out images",
    "distinct_masks": "masks scored",
    "date": "date",
    "confirmed_by": "confirmed by",
}
"""Key of a provenance -> what a page calls it."""

COMMANDS = "ean ticket show ticket.json"
"""The first command on each card, by which a card is known."""


def picture(ticket: Ticket) -> str:
    """A ticket as an SVG: one row per stage, one square per block, filled where it is connected.

    A small square in it stands for attention that is folded.
    """
    rows = len(ticket.stages)
    longest = max(ticket.backbone.blocks)
    legend = {kind: words for kind, words in legend_of(ticket).items() if any(kind)}
    width = max(_LEFT + longest * (_CELL + _GAP) + 130, len(legend) * _LEGEND)
    height = (rows + 1) * _LINE + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13" fill="{_TEXT}">',
        f"<title>{html.escape(summary(ticket))}</title>",
        f'<rect width="{width}" height="{height}" fill="{_PLAIN}"/>',
    ]

    def square(left: int, top: int, kind: tuple[bool, bool]) -> str:
        outer, inner = (_CONNECTED, _PLAIN) if kind[0] else (_PLAIN, _CONNECTED)
        drawn = (
            f'<rect x="{left}" y="{top}" width="{_CELL}" height="{_CELL}" rx="3" '
            f'fill="{outer}" stroke="{_CONNECTED}"/>'
        )
        if kind[1]:
            edge, side = _CELL // 4, _CELL - 2 * (_CELL // 4)
            drawn += (
                f'<rect x="{left + edge}" y="{top + edge}" width="{side}" height="{side}" '
                f'fill="{inner}"/>'
            )
        return drawn

    def text(left: int, top: int, words: str) -> str:
        return f'<text x="{left}" y="{top + 16}">{words}</text>'

    for row, kinds in enumerate(kinds_of(ticket)):
        top = _GAP + row * _LINE
        parts.append(text(8, top, f"stage {row + 1}"))
        parts += [
            square(_LEFT + place * (_CELL + _GAP), top, kind) for place, kind in enumerate(kinds)
        ]
        end = _LEFT + longest * (_CELL + _GAP) + 8
        parts.append(text(end, top, count_text(kinds)))
    top = _GAP + rows * _LINE
    for place, (kind, words) in enumerate(legend.items()):
        left = 8 + place * _LEGEND
        parts += [square(left, top, kind), text(left + _CELL + 6, top, words)]
    return "\n".join([*parts, "</svg>", ""])


def card(ticket: Ticket, picture_file: str) -> str:
    """The page of a ticket, in Markdown.

    Args:
        ticket: The ticket.
        picture_file: Path of the picture, as the page names it.
    """
    title = f"{ticket.attention or 'no attention'} on {ticket.backbone.name}"
    parts = [
        f"# {_plain(title)}: attention in {blocks_text(ticket)}",
        f"![{_plain(title)}]({_address(picture_file)})",
        f"{_plain(summary(ticket))}.",
        _table(["", ""], {"mask": [str(ticket)], **_facts(ticket.provenance)}),
    ]
    scores = _scores(ticket)
    if scores:
        columns = list(dict.fromkeys(name for row in scores.values() for name in row))
        rows = {name: [row.get(column) for column in columns] for name, row in scores.items()}
        parts += ["## Scores and costs", _table(["", *columns], rows)]
        if "over_full" in columns:
            parts.append(
                "`over_full` is the difference from attention in every block, in the score's unit; "
                "latency is in milliseconds where it was searched."
            )
    parts += [
        "## Use",
        "Save the block below as `ticket.json`; "
        f"CONFIG is a config whose backbone is {_plain(ticket.backbone.name)}.",
        f"```\n{COMMANDS}\n"
        "ean ticket cost ticket.json --size 224\n"
        "ean train CONFIG --ticket ticket.json\n```",
        "## Ticket",
        f"```json\n{ascii_json(ticket.to_json())}```",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(provenance: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What a provenance says, as rows of a table: known keys, and numbers of any name."""
    settings = provenance.get("settings")
    known = {**(settings if isinstance(settings, Mapping) else {}), **provenance}
    rows = {name: [known[key]] for key, name in _FACTS.items() if known.get(key) is not None}
    numbers = {
        key: [value]
        for key, value in provenance.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in _FACTS
    }
    measured = provenance.get("measured_again")
    if isinstance(measured, Mapping):
        rows["latency, measured again"] = [json.dumps(measured)]
    return {**rows, **numbers}


def _scores(ticket: Ticket) -> dict[str, Mapping[str, Any]]:
    """Ticket, none and full, as far as the search scored them: what people compare."""
    finalists = ticket.provenance.get("confirmed")
    if not isinstance(finalists, Mapping):  # of the zoo a truth value, of older searches missing
        rules = ticket.provenance.get("rules")
        finalists = {
            rule["bits"]: {key: value for key, value in rule.items() if key != "bits"}
            for rule in (rules.values() if isinstance(rules, Mapping) else ())
            if isinstance(rule, Mapping) and isinstance(rule.get("bits"), str)
        }
    by_bits = {bits.replace(" ", ""): row for bits, row in finalists.items()}
    bits = "".join(ticket.stages)
    named = {"ticket": bits, "none": "0" * len(bits), "full": "1" * len(bits)}
    rows = {name: by_bits.get(mask) for name, mask in named.items()}
    return {name: row for name, row in rows.items() if isinstance(row, Mapping)}


def _table(head: list[str], rows: Mapping[str, list[Any]]) -> str:
    lines = [head, *([name, *row] for name, row in rows.items())]
    cells = [["" if value is None else _plain(str(value)) for value in line] for line in lines]
    cells.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _plain(text: str) -> str:
    """A stranger's text as Markdown shows it, without any markup of its own."""
    escaped = html.escape(printable(shortened(" ".join(str(text).split()), 500)), quote=False)
    return re.sub(r"([\\`*_\[\]|~!])", r"\\\1", escaped)


def _address(file: str) -> str:
    return quote(Path(file).as_posix())
