"""Tables for texts."""

from __future__ import annotations

from collections.abc import Sequence


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, from rows of cells, headings first."""
    headings, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([headings, "|---" * len(rows[0]) + "|", *others]) + "\n"
