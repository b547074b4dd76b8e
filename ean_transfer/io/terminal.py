"""Makes text of files safe and short before it reaches a terminal."""

from __future__ import annotations


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
