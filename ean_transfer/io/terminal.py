"""Makes text of files safe and short before it reaches a terminal; aligns columns."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """The text, with all but visible characters and spaces written as escapes.

    Text from a stranger's file must not move the cursor, recolour or reverse what a terminal shows.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def shortened(text: str, limit: int = 80) -> str:
    """The text, with its middle left out where it is longer: a name in a file may have megabytes.

    Args:
        text: The text.
        limit: Number of characters that are kept.
    """
    if len(text) <= limit:
        return text
    return f"{text[: limit - limit // 3]} ... {text[len(text) - limit // 3 :]}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equally many cells as text, one line per row, with columns of one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
