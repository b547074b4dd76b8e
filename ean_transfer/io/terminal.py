"""Escapes control characters before text of a file reaches a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text, with all but visible characters and spaces written as escapes.

    Text from a stranger's file must not move the cursor, recolour or reverse what a terminal shows.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
