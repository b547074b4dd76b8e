"""A ticket's provenance as text for a terminal: scores of masks, and studies, as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ean_transfer.io.terminal import aligned, printable, shortened

_MOST_COLUMNS = 20  # of a table: anybody may have written the file
_MOST_CHARACTERS = 50_000  # of one value


def provenance_lines(provenance: Mapping[str, Any]) -> list[str]:
    """One line per value; a table for records with fields, indented lines for other mappings."""
    lines = []
    for key, value in provenance.items():
        name = printable(shortened(str(key)))
        if rows := _rows(value):
            lines += [name, *(f"  {line}" for line in aligned(rows).split("\n"))]
        elif isinstance(value, Mapping) and value:
            lines.append(name)
            for inner, its_value in value.items():
                lines.append(f"  {printable(shortened(str(inner)))}: {value_text(its_value)}")
        else:
            lines.append(f"{name}: {value_text(value)}")
    return lines


def value_text(value: Any) -> str:
    """A value on one line, as JSON unless it is a text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(shortened(text, _MOST_CHARACTERS))


def _rows(value: Any) -> list[list[str]]:
    """Records as rows of a table, headings first; empty for what is no list of records."""
    if isinstance(value, Mapping):
        names, records = [str(name) for name in value], [*value.values()]
    elif isinstance(value, list):
        names, records = [""] * len(value), value
    else:
        return []
    if not records or not all(isinstance(record, Mapping) and record for record in records):
        return []
    columns = list(dict.fromkeys(column for record in records for column in record))
    if len(columns) > _MOST_COLUMNS:
        return []
    rows = [["", *columns]]
    for name, record in zip(names, records, strict=True):
        rows.append([name, *(value_text(record.get(column, "")) for column in columns)])
    cells = [[printable(shortened(cell, 200)) for cell in row] for row in rows]
    return [row[1:] for row in cells] if isinstance(value, list) else cells
