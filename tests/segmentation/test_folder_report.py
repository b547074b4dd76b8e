"""What the report on a folder of images and label files lists."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.segmentation.contact_sheet import contact_sheet
from ean_transfer.segmentation.folder_report import check_folder, report_text
from ean_transfer.segmentation.label_values import class_weights
from tests.helpers import ROOT
from tests.segmentation.helpers import write_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images of 64 x 48 pixels with labels of 5 classes."""
    return write_pairs(tmp_path, 4) / "train"


def label(folder: Path, number: int, values: Any, kind: str = "png", **options: Any) -> Path:
    file = folder / "labels" / f"{number}.{kind}"
    Image.fromarray(np.asarray(values)).save(file, **options)
    return file


def test_a_clean_folder_has_its_pixels_counted(folder: Path) -> None:
    report = check_folder(folder)
    assert report.problems == ()
    assert (report.facts.images, report.label_files, report.num_classes) == (4, 4, 5)
    assert report.facts.sizes == {"64 x 48": 4} and report.facts.suffixes == {".jpg": 4}
    assert report.facts.depths == {"8 bits RGB": 4}
    files = [np.asarray(Image.open(folder / "labels" / f"{i}.png")) for i in range(4)]
    assert report.pixels == tuple(np.bincount(np.concatenate(files).ravel()).tolist())
    assert report.ignored == 0 and sum(report.pixels) == 4 * 48 * 64
    assert "no problems" in report_text(report)
    assert json.loads(json.dumps(asdict(report)))["facts"]["images"] == 4


def test_every_kind_of_problem_is_listed_with_its_file(folder: Path) -> None:
    values = np.tile(np.arange(5, dtype=np.uint8), (48, 64))[:, :64]
    for number in range(4, 10):
        image = np.full((48, 64, 3), number, np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{number}.jpg")
    label(folder, 4, values[:40])
    label(folder, 5, np.where(values == 0, 77, values).astype(np.uint8))
    label(folder, 6, np.full((48, 64), 255, np.uint8))
    (folder / "labels" / "7.png").write_bytes(b"no image")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(folder / "images" / "8.jpg", exif=exif)
    label(folder, 8, values)
    label(folder, 20, values)
    (folder / "images" / "0.jpg").write_bytes((folder / "images" / "0.jpg").read_bytes()[:-400])
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(folder / "images" / "1.png")
    for other in ("notes.txt", "._2.jpg"):
        (folder / "images" / other).write_text("x")

    report = check_folder(folder, num_classes=6)
    assert list(report.unreadable_images) == ["images/0.jpg"]
    assert report.images_without_labels == ("images/9.jpg",)
    assert report.labels_without_image == ("labels/20.png",)
    assert report.same_name == ("images/1.png",)
    assert list(report.unreadable_labels) == ["labels/7.png"]
    assert report.other_size == {"labels/4.png": "64 x 40, the image is 64 x 48"}
    wrong = int((values == 0).sum())
    assert report.other_values == {"labels/5.png": f"77 in {wrong} pixels"}
    assert report.all_ignored == ("labels/6.png",)
    assert report.absent_classes == ("5",)
    assert report.unclear_orientation == {"images/8.jpg": 3} == report.facts.orientations
    assert report.left_out == ("images/._2.jpg", "images/notes.txt")
    assert set(report.problems) == set(report.HEADINGS) - {"single_class"}
    assert report.class_weights[5] is None
    text = report_text(report)
    for part in ("labels/4.png", "77 in", "images/9.jpg", "images/8.jpg", "notes.txt"):
        assert part in text
    assert contact_sheet(folder, num_classes=6).ndim == 3


@pytest.mark.parametrize("classes", [None, 2])
def test_masks_of_0_and_255_are_a_problem(folder: Path, classes: int | None) -> None:
    for number in range(4):
        mask = np.zeros((48, 64), np.uint8)
        mask[:12] = 255
        label(folder, number, mask)
    report = check_folder(folder, **({} if classes is None else {"num_classes": classes}))
    assert report.ignored == 0.25
    assert "label 0, beside 25.0 % of ignored pixels" in report.single_class[0]
    assert report.absent_classes == (("1",) if classes else ())


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_labels_of_the_stored_pixels_are_told_apart_by_their_size(
    folder: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(folder / "images" / "2.jpg").save(folder / "images" / "2.jpg", exif=exif)
    report = check_folder(folder)
    assert report.problems == ("other_size",)
    assert "LoadImage(exif='ignore')" in report.other_size["labels/2.png"]
    assert report.facts.sizes == {"64 x 48": 3, "48 x 64": 1}


@pytest.mark.parametrize(
    ("depth", "values", "mode"),
    [
        ("16 bits grey", np.full((48, 64), 4000, np.uint16), None),
        ("8 bits grey", np.zeros((48, 64), np.uint8), None),
        ("1 bit grey", np.zeros((48, 64), bool), None),
        ("8 bits palette", np.zeros((48, 64), np.uint8), "P"),
        ("8 bits RGBA", np.zeros((48, 64, 4), np.uint8), None),
    ],
)
def test_the_depth_of_images_is_named(folder: Path, depth: str, values: Any, mode: Any) -> None:
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(folder / "images" / "9.png")
    label(folder, 9, np.zeros((48, 64), np.uint8))
    report = check_folder(folder)
    assert report.facts.depths[depth] == 1
    assert ("images/9.png" in report.unreadable_images) == depth.startswith("16")


def test_options_describe_other_folders(tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / f"{number}_rgb.PNG")
        values = np.array([[0, 1, 2, 3] * 2] * 8, np.uint8)
        Image.fromarray(values).save(tmp_path / f"{number}_rgb_gt.png")
    report = check_folder(
        tmp_path,
        images="",
        labels="",
        img_suffix=[".png"],
        seg_map_suffix="_gt.png",
        ignore=3,
        reduce_zero_label=False,
    )
    # The images end in ".png" as the labels do, whose end is longer; names differ by "_rgb" alone.
    assert report.facts.images == 2 and report.problems == ()
    assert (report.num_classes, report.ignored) == (3, 0.25)
    reduced = check_folder(tmp_path, images="", labels="", img_suffix=".png",
                           seg_map_suffix="_gt.png", reduce_zero_label=True)  # fmt: skip
    assert (reduced.num_classes, reduced.ignored) == (3, 0.25)
    both = check_folder(tmp_path, images="", labels="", img_suffix=".png",
                        seg_map_suffix="_gt.png", ignore=3, reduce_zero_label=True)  # fmt: skip
    assert (both.num_classes, both.ignored) == (2, 0.5)  # 0 and 3 of 0 to 3
    with pytest.raises(ConfigError, match="segmentation: unknown field 'part'"):
        check_folder(tmp_path, part="A")
    with pytest.raises(DataError, match="images: expected the folder of the images, found no such"):
        check_folder(tmp_path)


def test_weights_are_by_median_frequency() -> None:
    # Class 0 fills half of both images, class 1 a quarter of the first, class 2 is absent.
    weights = class_weights(np.array([[50, 25, 0], [50, 0, 0]]), np.array([25, 50]))
    assert weights == (pytest.approx(0.75), pytest.approx(1.5), None)


@pytest.mark.realdata
def test_camvids_weights_are_those_of_the_config() -> None:
    folder = ROOT / "data" / "camvid"
    if not folder.exists():
        pytest.skip("no data/camvid")
    report = check_folder(folder, split="train", ignore=11)
    text = (
        ROOT / "configs" / "segmentation" / "fcn_resnet50_d8_sge_camvid_weighted.py"
    ).read_text()
    assert report.problems == ()
    assert all(f"    {weight:.2f},  # " in text for weight in report.class_weights)
