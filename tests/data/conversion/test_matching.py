"""An annotation finds its image however it names it, and never one of two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ean_transfer.data.conversion.labelme import read_labelme
from ean_transfer.data.conversion.matching import ImageIndex, match
from ean_transfer.data.conversion.objects import AnnotatedImage
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
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
        ("x/A\u0308 b.JPG", ["x/Ä b.JPG"]),  # the dots as a character of their own
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


def test_an_image_is_that_of_the_annotation_with_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "cam2").mkdir()
    Image.new("L", (4, 3)).save(tmp_path / "cam2" / "1.jpg")
    annotated = [AnnotatedImage(f"{folder}/1.jpg", folder) for folder in ("cam1", "cam2")]
    left_out = LeftOut()
    matched = match(annotated, ImageIndex(tmp_path), tmp_path, left_out)
    assert {name: image.where for name, image in matched.items()} == {"cam2/1.jpg": "cam2"}
    assert left_out.summary()["annotations: another one has their image"]["first"] == ["cam1"]


def test_labelme_names_an_image_from_its_own_folder(tmp_path: Path) -> None:
    names = ["a", "sub/a", "train/a", "val/a"]
    (tmp_path / "json").mkdir()
    for name in names:
        image, file = tmp_path / f"{name}.jpg", tmp_path / f"{name}.json"
        image.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 3)).save(image)
        file.write_text(json.dumps(dict(shapes=[], imagePath="a.jpg")))
    elsewhere = tmp_path / "json" / "b.json"
    elsewhere.write_text(json.dumps(dict(shapes=[], imagePath=r"..\val\a.jpg")))
    for file, image_name in [(tmp_path / f"{n}.json", f"{n}.jpg") for n in names] + [
        (elsewhere, "val/a.jpg")
    ]:
        annotated = read_labelme(file, json.loads(file.read_text()), Settings(), LeftOut())
        matched = match([*annotated], ImageIndex(tmp_path), tmp_path, LeftOut())
        assert [*matched] == [image_name]


@pytest.mark.parametrize("other", ["masks", "../images/masks", "link"])
def test_labels_within_the_folder_are_no_images_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    for name in ("1.png", "masks/1.png", "masks/x/2.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"")
    (tmp_path / "images" / "link").symlink_to(tmp_path / "images" / "masks")
    monkeypatch.chdir(tmp_path / "images")
    assert [*ImageIndex(tmp_path / "images", other_folder=Path(other)).images] == ["1.png"]
    around = ImageIndex(tmp_path / "images", other_folder=Path("..")).images
    assert "1.png" in around
