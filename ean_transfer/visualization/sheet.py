"""Sheets: many pictures in rows and columns, with a title over each column and a caption under each
picture. Grad-CAM, comparisons, augmented samples and contact sheets are all drawn by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ean_transfer.visualization.picture import Picture
from ean_transfer.visualization.text import BACKGROUND, draw_text

SIDE = 320  # pixels: the usual longer side of a picture in a sheet
GAP = 8  # pixels around each picture
LINE = 26  # pixels: height of a title or a caption
CAPTION_SIZE = 14  # pixels: height of a caption's letters


class Cell(NamedTuple):
    """A picture in a sheet, and the line below it."""

    picture: Picture
    caption: str


def draw_sheet(rows: Sequence[Sequence[Cell]], titles: Sequence[str] = ()) -> Picture:
    """Put pictures into rows and columns.

    A column is as wide and a row as high as its largest picture.

    Args:
        rows: The cells of each row; rows may differ in length.
        titles: Title of each column.
    """
    columns = range(max(len(row) for row in rows))
    widths = [max(row[i].picture.shape[1] for row in rows if i < len(row)) for i in columns]
    heights = [max(cell.picture.shape[0] for cell in row) for row in rows]
    top = GAP + (LINE if titles else 0)
    size = (top + sum(heights) + len(rows) * (LINE + GAP), GAP + sum(widths) + len(widths) * GAP)
    sheet = np.full((*size, 3), BACKGROUND, dtype=np.uint8)

    def put(picture: Picture, top: int, left: int) -> None:
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture

    lefts = [GAP + sum(widths[:i]) + i * GAP for i in columns]
    for title, left, width in zip(titles, lefts, widths, strict=False):
        put(draw_text(title, width, LINE), GAP // 2, left)
    for row, height in zip(rows, heights, strict=True):
        for cell, left, width in zip(row, lefts, widths, strict=False):
            put(cell.picture, top, left)
            caption = draw_text(cell.caption, width, LINE, CAPTION_SIZE)
            put(caption, top + cell.picture.shape[0], left)
        top += height + LINE + GAP
    return sheet


def in_rows(cells: Sequence[Cell], columns: int) -> list[Sequence[Cell]]:
    """Cells in rows of `columns` each; the last row may be shorter."""
    return [cells[i : i + columns] for i in range(0, len(cells), columns)]


def evenly_spread(count: int, total: int) -> list[int]:
    """Places in ``range(total)``: the first, the last and others between them.

    Args:
        count: Number of places; with more than ``total``, some are given twice.
        total: Number of things to choose from.
    """
    return np.linspace(0, total - 1, count).round().astype(int).tolist()


def joined(*parts: object) -> str:
    """A caption of several parts, without those that are empty."""
    return ", ".join(text for text in map(str, parts) if text)
