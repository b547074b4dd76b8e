"""Tables for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

WIDTH = 160  # characters, of a file or a pipe, which has no width of its own to keep to


def print_table(rows: Sequence[Sequence[str]], title: str) -> None:
    """Print a table from rows of cells, headings first; all but the first column to the right."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(rows[0]):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row)
    width = None if Console().is_terminal else WIDTH
    # Names are the user's: MAE [people] is no markup.
    Console(width=width, markup=False, emoji=False).print(table)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, from rows of cells, headings first."""
    headings, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([headings, "|---" * len(rows[0]) + "|", *others]) + "\n"
