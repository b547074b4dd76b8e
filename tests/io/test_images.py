"""Label images and sizes; images themselves are read in the tests of the tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image, read_image_size, read_labels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_turned_image(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "a.jpg"
    Image.new("RGB", (6, 4)).save(file, exif=exif)
    assert read_image_size(file) == read_image(file).shape[:2]


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "bool"])
def test_labels_are_the_values_in_the_file(tmp_path: Path, kind: str) -> None:
    labels = np.array([[0, 1], [255 if kind == "uint8" else 1, 0]]).astype(kind)
    Image.fromarray(labels).save(tmp_path / "a.tif")
    assert (read_labels(tmp_path / "a.tif") == labels).all()


def test_labels_of_a_palette_are_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[2, 0]], np.uint8)).convert("P")
    image.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7])
    image.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == [[2, 0]]


@pytest.mark.parametrize("mode", ["RGB", "LA", "F"])
def test_colours_and_fractions_are_no_labels(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=rf"a\.tif: expected one integer .*found .*mode {mode};"):
        read_labels(tmp_path / "a.tif")
