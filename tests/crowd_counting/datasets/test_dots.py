"""Dot images: red pixels are points, and what is no dot image is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ean_transfer.crowd_counting.datasets import DotImageDataset
from ean_transfer.crowd_counting.density import density_map
from ean_transfer.crowd_counting.folder_report import check_dataset
from ean_transfer.errors import DataError
from tests.crowd_counting.folders import HEIGHT, WIDTH, write_dots
from tests.helpers import ROOT

DATA = ROOT / "data" / "cells"
CORNERS = [(0, 0), (63, 5), (63, 47)]


def counts(root: Path, **options: object) -> list[int]:
    dataset = DotImageDataset(root, **options)
    return [len(dataset.get_data_info(index)["points"]) for index in range(len(dataset))]


def test_red_pixels_are_points_and_indices_choose_images(tmp_path: Path) -> None:
    write_dots(tmp_path, {number: CORNERS[:number] for number in range(4)})
    info = DotImageDataset(tmp_path).get_data_info(3)
    assert info["img_path"].endswith("003cell.png")
    np.testing.assert_array_equal(info["points"], CORNERS)
    assert counts(tmp_path, indices=2) == [0, 1]
    assert counts(tmp_path, indices=-1) == [3]
    assert counts(tmp_path, indices=[1, 2]) == [1, 2]


@pytest.mark.parametrize(
    ("dots", "named"),
    [
        (np.full((HEIGHT, WIDTH, 3), 40, np.uint8), rf"expected red .* {HEIGHT * WIDTH} others"),
        (np.zeros((HEIGHT, HEIGHT, 3), np.uint8), rf"1cell\.png, {WIDTH} x {HEIGHT} pixels"),
        (None, "expected an image"),
    ],
)
def test_other_files_in_place_of_dots_are_named(
    tmp_path: Path, dots: np.ndarray | None, named: str
) -> None:
    file = write_dots(tmp_path, {1: CORNERS}) / "001dots.png"
    if dots is None:
        file.write_bytes(b"")
    else:
        cv2.imwrite(str(file), dots)
    with pytest.raises(DataError, match=rf"001dots\.png: .*{named}"):
        DotImageDataset(tmp_path)
    assert list(check_dataset("dots", tmp_path).unreadable_annotations) == ["001dots.png"]


def test_images_of_more_than_8_bits_are_refused_at_once(tmp_path: Path) -> None:
    write_dots(tmp_path, {1: []})
    cv2.imwrite(str(tmp_path / "001cell.png"), np.zeros((HEIGHT, WIDTH), np.uint16))
    with pytest.raises(DataError, match=r"001cell\.png: expected 8 bits"):
        DotImageDataset(tmp_path)
    assert "8 bits" in check_dataset("dots", tmp_path).unreadable_images["001cell.png"]


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="data/cells absent: unpack the data")
def test_real_cells_have_their_published_counts() -> None:
    numbers = counts(DATA)
    assert (len(numbers), min(numbers), max(numbers)) == (200, 74, 317)
    assert round(np.mean(numbers)) == 176
    dataset = DotImageDataset(DATA)
    for info in map(dataset.get_data_info, range(0, 200, 40)):
        density = density_map(info["points"], (info["height"], info["width"]))
        assert density.sum() == pytest.approx(len(info["points"]), abs=1e-3)
