"""The contact sheet has one place per image, with its points where they were annotated."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ean_transfer.crowd_counting.contact_sheet import contact_sheet
from ean_transfer.errors import DataError
from tests.crowd_counting.folders import HEIGHT, WIDTH, Points, write_jhu, write_nwpu


def write_pair(
    root: Path, number: int, points: Points = (), colour: object = None
) -> tuple[Path, Path]:
    """An image of one colour (BGR) or of noise, and its points."""
    folder = write_jhu(root, {number: points})
    image = folder / f"images/{number:04d}.jpg"
    if colour is not None:
        cv2.imwrite(str(image), np.full((HEIGHT, WIDTH, 3), colour, np.uint8))
    return image, folder / f"gt/{number:04d}.txt"


@pytest.mark.parametrize(
    ("images", "thumbnails", "rows", "columns"), [(1, 16, 1, 1), (5, 16, 2, 3), (9, 4, 2, 2)]
)
def test_sheet_has_a_place_for_each_image(
    tmp_path: Path, images: int, thumbnails: int, rows: int, columns: int
) -> None:
    for number in range(images):
        write_pair(tmp_path, number)
    picture = contact_sheet("jhu", tmp_path, thumbnails)
    assert picture.shape == (rows * (240 + 26 + 8) + 8, columns * (320 + 8) + 8, 3)
    assert picture.dtype == np.uint8


def test_sheet_shows_images_from_the_first_to_the_last(tmp_path: Path) -> None:
    for number in range(1, 10):
        write_pair(tmp_path, number, colour=20 * number)
    picture = contact_sheet("jhu", tmp_path, 3)
    middles = [picture[top + 120, left + 160, 0] for top, left in ((8, 8), (8, 336), (282, 8))]
    assert middles == [20, 100, 180]  # of the images 1, 5 and 9


@pytest.mark.parametrize("shade", [0, 255])
def test_points_are_seen_on_dark_and_on_light_in_their_places(tmp_path: Path, shade: int) -> None:
    write_pair(tmp_path, 1, [(0, 0), (48, 36)], shade)
    picture = contact_sheet("jhu", tmp_path)
    # 64 x 48 is enlarged five times, so the middle of pixel (48, 36) is at 5 * 48.5 - 0.5 = 242
    assert picture[8 + 182, 8 + 242].tolist() == [255, 225, 0]
    around = picture[8 + 182 - 8 : 8 + 182 + 9, 8 + 242 - 8 : 8 + 242 + 9]
    assert around.reshape(-1, 3).max(axis=1).min() < 40  # the outline
    assert picture[8 + 100, 8 + 100].tolist() == [shade] * 3
    assert picture[8 + 2, 8 + 2].tolist() == [255, 225, 0]


def test_colours_of_the_sheet_are_rgb(tmp_path: Path) -> None:
    write_pair(tmp_path, 1, colour=(0, 0, 250))
    red, green, blue = contact_sheet("jhu", tmp_path)[128, 168].tolist()
    assert red > 240 and green < 10 and blue < 10


def test_sheet_leaves_a_place_for_what_cannot_be_read(tmp_path: Path) -> None:
    write_pair(tmp_path, 1)[0].write_bytes(b"x")
    write_pair(tmp_path, 2)[1].write_text("x")
    write_pair(tmp_path, 3)[1].unlink()
    write_pair(tmp_path, 4, [(-9, 1), (900, 900)])
    assert contact_sheet("jhu", tmp_path).shape == (2 * 274 + 8, 2 * 328 + 8, 3)


def test_sheet_of_no_images_is_refused(tmp_path: Path) -> None:
    write_nwpu(tmp_path, {1: []})
    (tmp_path / "train.txt").write_text("0002 0 1\n")
    with pytest.raises(DataError, match="expected images to show"):
        contact_sheet("nwpu", tmp_path)
