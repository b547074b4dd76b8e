"""Tables for people: in a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

WIDTH = 160  # characters, for a file or a pipe, which have no width of their own


def print_table(rows: Sequence[Sequence[str]], title: str) -> None:
    """Print rows of cells, headings first, with all but the first column aligned to the right."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(rows[0]):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row)
    width = None if Console().is_terminal else WIDTH
    # The user's names are no markup for rich: "MAE [people]" would lose its unit.
    Console(width=width, markup=False, emoji=False).print(table)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of rows of cells, headings first."""
    headings, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([headings, "|---" * len(rows[0]) + "|", *others]) + "\n"


def mean_and_spread(values: Sequence[float | None]) -> str:
    """A cell with ``mean ± standard deviation`` of the values that are known, a dash if none is."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    text = f"{np.mean(known):.2f}"  # a metric may be NaN, which statistics.stdev does not take
    return text if len(known) == 1 else f"{text} ± {np.std(known, ddof=1):.2f}"
