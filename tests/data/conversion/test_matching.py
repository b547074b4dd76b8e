"""An annotation finds its image however it names it, and never one of two."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.data.conversion.matching import ImageIndex
from ean_transfer.errors import DataError

IMAGES = ("a.jpg", "x/a.png", "x/Ä b.JPG", "y/scan.001.tif", "IMG_1.jpg", "IMG_11.jpg") + (
    "train/img/1.jpg",
    "test/img/1.jpg",
)


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    for name in IMAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return ImageIndex(tmp_path)


@pytest.mark.parametrize(
    ("reference", "images"),
    [
        ("a.jpg", ["a.jpg"]),
        ("a.png", ["x/a.png"]),
        (r"C:\data\X\a.PNG", ["x/a.png"]),
        ("a", ["a.jpg"]),
        ("z/a", ["a.jpg", "x/a.png"]),
        ("x/a", ["x/a.png"]),
        ("/home/me/x/Ä b", ["x/Ä b.JPG"]),
        ("ä b.png", ["x/Ä b.JPG"]),
        ("scan.001", ["y/scan.001.tif"]),
        ("scan", []),
        ("/d/test/truth/GT_1.mat", []),
        ("/d/test/truth/GT_1", ["test/img/1.jpg"]),
        ("/d/truth/GT_1", ["test/img/1.jpg", "train/img/1.jpg"]),
        ("GT_IMG_1", ["IMG_1.jpg"]),
        ("labels/IMG_11_ann", ["IMG_11.jpg"]),
        ("gt_img_1_mask", ["IMG_1.jpg"]),
        ("IMG_2", []),
        ("", []),
    ],
)
def test_images_are_found_by_their_names(
    index: ImageIndex, reference: str, images: list[str]
) -> None:
    assert index.find(reference) == images


def test_suffixes_are_taken_off(tmp_path: Path) -> None:
    for name in ("1cell.png", "1dots.png"):
        (tmp_path / name).write_bytes(b"")
    assert ImageIndex(tmp_path, ["cell.png"]).find("1") == ["1cell.png"]
    with pytest.raises(DataError, match=r"folder of the images \(\*.tif\), found none"):
        ImageIndex(tmp_path, [".tif"])
