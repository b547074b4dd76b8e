"""Polygons and run lengths become the pixels that they enclose."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ean_transfer.data.conversion.areas import Bitmap, Polygons, pixels_of_runs, runs_of_text
from ean_transfer.data.conversion.objects import box, ellipse, polygon

BITMAPS = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
CORNERS = st.lists(st.tuples(st.floats(-9, 30), st.floats(-9, 30)), min_size=3, max_size=9)


def runs_of(pixels: np.ndarray, order: str = "F") -> list[int]:
    """Lengths of equal values in turn, those outside first."""
    flat = pixels.ravel(order=order)
    ends = [*(np.flatnonzero(np.diff(flat)) + 1), flat.size]
    lengths = np.diff([0, *ends]).tolist()
    return [0, *lengths] if flat[0] else lengths


def text_of(runs: list[int]) -> str:
    """COCO's compression, as pycocotools' rleToString does it."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


@given(BITMAPS)
def test_run_lengths_come_back_as_the_pixels(pixels: np.ndarray) -> None:
    assert np.array_equal(pixels_of_runs(runs_of(pixels), pixels.shape), pixels)
    assert np.array_equal(pixels_of_runs(runs_of(pixels, "C"), pixels.shape, "C"), pixels)


@given(st.lists(st.integers(0, 10**6), max_size=12))
def test_compressed_run_lengths_come_back(runs: list[int]) -> None:
    assert runs_of_text(text_of(runs)) == runs


def test_compressed_run_lengths_of_pycocotools() -> None:
    # pycocotools.mask.encode of a (20, 30) mask with rows 5-9 and columns 10-19
    assert runs_of_text("]65?00000000000000000S6") == [205, 5] + [15, 5] * 9 + [210]


@pytest.mark.parametrize("runs", [[3, 4], [7], [10, -2]])
def test_run_lengths_of_another_size_are_refused(runs: list[int]) -> None:
    with pytest.raises(ValueError, match="for 4 x 2 pixels"):
        pixels_of_runs(runs, (2, 4))


@given(CORNERS)
def test_a_pixel_is_inside_if_its_centre_is(corners: list[tuple[float, float]]) -> None:
    labels = np.zeros((16, 21), np.uint8)
    ring = np.array(corners)
    Polygons((ring,)).paint(labels, 7)
    left, right = (_encloses(ring + (shift, 0)) for shift in (-1e-6, 1e-6))
    clear = left == right  # where no edge runs through the centre
    assert clear.mean() > 0.9
    assert np.array_equal((labels == 7)[clear], left[clear])


def _encloses(ring: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[:16, :21] + 0.5
    inside = np.zeros(rows.shape, bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        passes = (y0 > rows) != (y1 > rows)
        with np.errstate(all="ignore"):
            inside ^= passes & (columns > x0 + (rows - y0) * (x1 - x0) / (y1 - y0))
    return inside


def test_shapes_cover_what_they_outline() -> None:
    labels = np.zeros((40, 50), np.uint8)
    area = box("a", 10, 5, 20, 15).area
    assert area is not None and area.paint(labels, 1) == 100
    assert labels[5:15, 10:20].all() and labels.sum() == 100
    disc = ellipse("a", 25, 20, 10, 10)
    assert disc.at == (25, 20) and disc.area is not None
    assert disc.area.paint(labels, 2) == pytest.approx(np.pi * 100, rel=0.02)
    expected = cv2.circle(np.zeros((40, 50), np.uint8), (25, 20), 10, 1, -1)
    assert np.mean((labels == 2) != (expected == 1)) < 0.02
    assert polygon("a", [(0, 0), (4, 2)], has_area=False) == ("a", (2, 1), None)


@pytest.mark.parametrize(("left", "top"), [(0, 0), (-2, 1), (4, -3), (60, 2), (-9, -9)])
def test_bitmaps_are_painted_where_they_are_in_the_image(left: int, top: int) -> None:
    labels = np.zeros((6, 7), np.uint8)
    pixels = np.ones((5, 4), bool)
    number = Bitmap(left, top, lambda: pixels).paint(labels, 9)
    rows, columns = np.mgrid[:6, :7]
    inside = (rows >= top) & (rows < top + 5) & (columns >= left) & (columns < left + 4)
    assert np.array_equal(labels == 9, inside) and number == inside.sum()
