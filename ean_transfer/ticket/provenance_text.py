"""A ticket's provenance as text for a terminal: scores of masks, and studies, as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ean_transfer.io.terminal import aligned, printable, shortened

_MOST_COLUMNS = 20  # of a table: anybody may have written the file
_MOST_CHARACTERS = 50_000  # of one value
_MOST_IN_A_CELL = 200


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


def value_text(value: Any, limit: int = _MOST_CHARACTERS) -> str:
    """A value on one line, as JSON unless it is a text; shortened to a number of characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(shortened(text, limit))


def _rows(value: Any) -> list[list[str]]:
    """Records as rows of a table, headings first; empty for what is no list of records."""
    records = [*value.values()] if isinstance(value, Mapping) else value
    if not isinstance(records, list):
        return []
    if not all(isinstance(record, Mapping) and record for record in records):
        return []
    columns = list(dict.fromkeys(column for record in records for column in record))
    if not 0 < len(columns) <= _MOST_COLUMNS:
        return []
    rows = [columns, *([record.get(column, "") for column in columns] for record in records)]
    if isinstance(value, Mapping):
        rows = [[name, *row] for name, row in zip(["", *value], rows, strict=True)]
    return [[value_text(cell, _MOST_IN_A_CELL) for cell in row] for row in rows]
