"""CSV files as people have them: any delimiter, encoding, decimal sign and column names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ean_transfer.errors import DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, has_suffix

KNOWN = {
    "image": "image filename file file_name image_name img image_path filepath path image_id id "
    "name img_name label_file",
    "x": "x cx x_center center_x xcenter x_centre centre_x point_x pos_x xm col column",
    "y": "y cy y_center center_y ycenter y_centre centre_y point_y pos_y ym row",
    "left": "left xmin x_min x1 xtl bbox_x bx",
    "top": "top ymin y_min y1 ytl bbox_y by",
    "right": "right xmax x_max x2 xbr",
    "bottom": "bottom ymax y_max y2 ybr",
    "width": "width w bbox_width bw",
    "height": "height h bbox_height bh",
    "label": "label class category class_name label_name target species type name",
}
"""Meaning -> usual names of the column, the likelier first; in capitals or not."""


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        line: Its number, from 1.
        cells: Column -> its text.
    """

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        file: The file.
        columns: Names of the columns; ``"1"``, ``"2"``, ... if the file has none.
        named: Whether the file names its columns.
        rows: The lines, without empty ones.
    """

    file: Path
    columns: tuple[str, ...]
    named: bool
    rows: Sequence[Row]

    def meanings(self, wanted: Sequence[str], given: Mapping[Any, str]) -> dict[str, str]:
        """Meaning -> column, for those that are known.

        Args:
            wanted: Meanings, keys of :data:`KNOWN`.
            given: Columns that the user named.

        Raises:
            DataError: The table lacks a column that the user named.
        """
        by_name = {name.casefold(): name for name in reversed(self.columns)}
        meanings = {}
        for meaning in wanted:
            if column := given.get(meaning):
                if column.casefold() not in by_name:
                    raise DataError(
                        f"{self.file}: expected a column {column!r:.80} for {meaning}, found "
                        f"{self.listed}; correct --column"
                    )
                meanings[meaning] = by_name[column.casefold()]
                continue
            taken = {*meanings.values(), *given.values()}
            names = [by_name[name] for name in KNOWN[meaning].split() if name in by_name]
            if free := [name for name in names if name not in taken]:
                meanings[meaning] = free[0]
        return meanings

    @property
    def listed(self) -> str:
        """The names of the columns, for messages."""
        return f"the columns {', '.join(self.columns)}"[:200]


def read_table(file: Path) -> Table:
    """Read a CSV file, also with semicolons, tabs or spaces, in UTF-8, UTF-16 or Windows' encoding.

    A first line in which a cell is a number or an image names no columns.

    Raises:
        DataError: The file is empty, or a line has more cells than the first one names columns.
    """
    lines = text_of(file).splitlines()
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise DataError(f"{file}: expected a table, found an empty file")
    delimiter = max(",;\t ", key=lambda sign: (first.count(sign) * (sign != " "), sign != " "))
    if not first.count(delimiter):
        delimiter = " "
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if any(cells):
            rows.append((reader.line_num, cells))
    head = rows[0][1]
    named = not any(is_number(cell, delimiter) or has_suffix(cell, IMAGE_SUFFIXES) for cell in head)
    # As of decimal commas between commas, or of names of rows: cells would be in wrong columns.
    longer = (row for row in rows if named and any(row[1][len(head) :]))
    if row := next(longer, None):
        raise DataError(
            f"{file}, line {row[0]}: expected {len(head)} cells, as many as the first line names "
            f"columns, found {delimiter.join(row[1])!r:.80}; correct the line, or put quotes "
            f"around cells that hold {'a space' if delimiter == ' ' else repr(delimiter)}"
        )
    width = max(len(cells) for _, cells in rows)
    columns = tuple(
        (head[place].lstrip("#") if named and place < len(head) else "") or str(place + 1)
        for place in range(width)
    )
    decimals = delimiter != ","
    return Table(
        file,
        columns,
        named,
        [
            Row(line, dict(zip(columns, (_cell(text, decimals) for text in cells), strict=False)))
            for line, cells in rows[int(named) :]
        ],
    )


def text_of(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark, or else in Windows' encoding."""
    content = file.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def is_number(text: str, delimiter: str = ",") -> bool:
    """Whether a cell is a number."""
    try:
        float(_cell(text, delimiter != ","))
    except ValueError:
        return False
    return True


def numbers(table: Table, row: Row, columns: Sequence[str]) -> list[float]:
    """The numbers in some columns of a line.

    Raises:
        DataError: A cell is no number; names file and line.
    """
    cells = [row.cells.get(column, "") for column in columns]
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        raise DataError(
            f"{table.file}, line {row.line}: expected numbers in {', '.join(columns)}, found "
            f"{', '.join(map(repr, cells))[:80]}; correct the line"
        ) from None


def _cell(text: str, decimals: bool) -> str:
    """A cell's text, with a decimal point in place of a comma where that separates no cells."""
    whole, comma, rest = text.partition(",")
    is_decimal = decimals and comma and rest.isdecimal() and whole.lstrip("+-").isdecimal()
    return f"{whole}.{rest}" if is_decimal else text


def rows_by_image(table: Table, column: str) -> Iterator[tuple[str, list[Row]]]:
    """Yield each image that a column names, with its lines."""
    by_image: dict[str, list[Row]] = {}
    for row in table.rows:
        by_image.setdefault(row.cells.get(column, ""), []).append(row)
    yield from by_image.items()
