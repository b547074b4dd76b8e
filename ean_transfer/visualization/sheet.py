"""Sheets of pictures in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ean_transfer.visualization.labels import (
    BACKGROUND,
    Picture,
    draw_text,
)

SIDE = 320  # pixels: the longer side of a picture
GAP = 8  # pixels around each


LINE = 26  # pixels: the height of a title or a caption


CAPTION_SIZE = 14  # pixels: the height of a caption's letters


class Cell(NamedTuple):
    """A picture in a sheet, and a line below it."""

    picture: Picture
    caption: str


def draw_sheet(rows: Sequence[Sequence[Cell]], titles: Sequence[str] = ()) -> Picture:
    """Pictures in rows and columns, titles above the columns, captions below the pictures.

    A column is as wide and a row as high as its largest picture.

    Returns:
        RGB uint8.
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


def evenly_spread(count: int, total: int) -> list[int]:
    return np.linspace(0, total - 1, count).round().astype(int).tolist()


def joined(*parts: object) -> str:
    return ", ".join(text for text in map(str, parts) if text)


def fit_picture(picture: Picture, side: int = SIDE) -> Picture:
    """Shrunk or enlarged to a longer side."""
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR if factor < 2 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.uint8)
