"""Pictures stand in their places in a sheet, and fit them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL.ImageFont import FreeTypeFont

from ean_transfer.visualization.picture import fit_picture
from ean_transfer.visualization.sheet import (
    CAPTION_SIZE,
    GAP,
    LINE,
    Cell,
    draw_sheet,
    evenly_spread,
    in_rows,
)
from ean_transfer.visualization.text import BACKGROUND, draw_text


def test_cells_of_any_size_and_long_captions_stay_in_their_places() -> None:
    white, grey = (np.full(size, 255, np.uint8) for size in ((30, 90, 3), (60, 20, 3)))
    sheet = draw_sheet([[Cell(white, "a" * 99), Cell(grey, "")], [Cell(grey, "b")]], ["one", "two"])
    assert sheet.shape == (GAP + LINE + 2 * (60 + LINE + GAP), GAP + 90 + GAP + 20 + GAP, 3)
    top = GAP + LINE
    assert (sheet[top : top + 30, GAP : GAP + 90] == 255).all()
    assert (sheet[top : top + 60, 2 * GAP + 90 : 2 * GAP + 110] == 255).all()
    assert (sheet[top + 30 : top + 30 + LINE, GAP + 90 : 2 * GAP + 90] < 50).all()
    assert (sheet[top + 30 : top + 30 + LINE, GAP : GAP + CAPTION_SIZE] > 150).any()


def test_a_long_line_keeps_its_start_and_its_end() -> None:
    short, long, other = (draw_text(text, 60, 20) for text in ("abc", "abc" * 9, "abc" * 9 + "x"))
    assert (long[:, :20] == short[:, :20]).all() and (long != other).any()
    assert (draw_text("", 60, 20) == BACKGROUND).all()


def test_a_line_of_many_letters_is_measured_a_few_times(monkeypatch) -> None:
    lines: list[str] = []
    original = FreeTypeFont.getlength
    monkeypatch.setattr(
        FreeTypeFont, "getlength", lambda font, line: lines.append(line) or original(font, line)
    )
    draw_text("door 12.3, " * 100, 320, 20)
    assert len(lines) < 20


def test_letters_of_other_languages_are_drawn() -> None:
    drawn = {draw_text(letter, 40, 20).tobytes() for letter in "eéüößñžąжω\uffff"}  # and none
    assert len(drawn) == 11


@pytest.mark.parametrize(
    ("size", "enlarge", "expected"),
    [
        (100, True, (50, 100)),
        (10, True, (5, 10)),
        ((30, 300), True, (30, 60)),
        (30, False, (15, 30)),
        (100, False, (20, 40)),
    ],
)
def test_a_picture_fits_its_size_and_keeps_its_proportions(size, enlarge, expected) -> None:
    picture = np.full((20, 40, 3), 7, np.uint8)
    fitted = fit_picture(picture, size, enlarge=enlarge)
    assert fitted.shape == (*expected, 3) and (fitted == 7).all()
    assert fit_picture(np.zeros((1, 900, 3), np.uint8), 90).shape == (1, 90, 3)


def test_places_reach_from_the_first_to_the_last() -> None:
    assert evenly_spread(3, 9) == [0, 4, 8]
    assert evenly_spread(4, 2) == [0, 0, 1, 1]
    assert evenly_spread(0, 5) == []
    assert in_rows("abcde", 2) == ["ab", "cd", "e"]
