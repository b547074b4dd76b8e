"""A table of files and labels becomes one folder per class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ean_transfer.classification import ImageFolder
from ean_transfer.classification.conversion import convert_classes
from ean_transfer.data.conversion.report import Conversion
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.errors import ConfigError, DataError

NAMES = ("1.jpg", "2.PNG", "x/1.jpg", "y/3.jpg")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(folder / name)
    return folder


def convert(images: Path, text: str, dry_run: bool = False, **options: Any) -> Conversion:
    source = images.parent / "labels.csv"
    source.write_bytes(text.encode(options.pop("encoding", "utf-8")))
    return convert_classes(source, images, images.parent / "out", Settings(**options), dry_run)


def classes_of(out: Path) -> dict[str, list[str]]:
    files = [f.relative_to(out).as_posix() for f in out.rglob("*.*") if f.parent != out]
    names = {name.partition("/")[0] for name in files}
    return {name: sorted(f for f in files if f.startswith(f"{name}/")) for name in names}


@pytest.mark.parametrize(
    "text",
    [
        "file,label\n1.jpg,cat\n2.PNG,dog\nx/1.jpg,cat\n3.jpg,dog\n",
        "Image;Species\n1;cat\n2;dog\nx/1;cat\n3;dog\n",
        "1.jpg\tcat\n2.PNG\tdog\nC:\\data\\x\\1.jpg\tcat\n3.jpg\tdog\n",
        "foo,bar\n1.jpg,cat\n2.PNG,dog\nx/1.jpg,cat\n3.jpg,dog\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_images_go_into_the_folders_of_their_classes(
    images: Path, text: str, encoding: str
) -> None:
    report = convert(images, text, encoding=encoding)
    out = images.parent / "out"
    assert classes_of(out) == {
        "cat": ["cat/1.jpg", "cat/x/1.jpg"],
        "dog": ["dog/2.PNG", "dog/y/3.jpg"],
    }
    assert report.classes == {"cat": 2, "dog": 2} and not report.left_out
    dataset = ImageFolder(out)
    assert dataset.metainfo["classes"] == ("cat", "dog")
    assert dataset.get_gt_labels().tolist() == [0, 0, 1, 1]
    assert os.path.samefile(out / "cat" / "1.jpg", images / "1.jpg")


def test_copies_are_files_of_their_own(images: Path) -> None:
    convert(images, "file,label\n1.jpg,a\n2.PNG,b\n", copies=True)
    copy = images.parent / "out" / "a" / "1.jpg"
    assert not os.path.samefile(copy, images / "1.jpg")
    assert copy.read_bytes() == (images / "1.jpg").read_bytes()


def test_what_cannot_be_used_is_counted(images: Path) -> None:
    text = "file,label\n1.jpg,a\n1.jpg,a\n2.PNG,a\n2.PNG,b\nx/1.jpg,\nq.jpg,b\ny/3.jpg,c\n"
    report = convert(images, text, dry_run=True)
    numbers = {reason: what["number"] for reason, what in report.left_out.items()}
    assert numbers == {
        "lines without a label": 1,
        "lines: no image of their name": 1,
        "images with two labels": 1,
    }
    assert report.not_annotated == ["2.PNG", "x/1.jpg"]
    assert not (images.parent / "out").exists()


def test_an_image_that_two_tables_contradict_comes_back_by_no_third(images: Path) -> None:
    tables = images.parent / "tables"
    tables.mkdir()
    for name, label in (("a", "cat"), ("b", "dog"), ("c", "cat")):
        (tables / f"{name}.csv").write_text(f"file,label\n1.jpg,{label}\n2.PNG,cat\n")
    report = convert_classes(tables, images, images.parent / "out", Settings(), dry_run=True)
    assert report.classes == {"cat": 1} and "1.jpg" in report.not_annotated
    assert report.left_out == {"images with two labels": {"number": 1, "first": ["1.jpg"]}}


def test_a_line_of_a_missing_image_takes_no_other_one_s(images: Path) -> None:
    text = "file,label\nz/3.jpg,a\ny/3.jpg,b\n1.jpg,a\n"
    report = convert(images, text, dry_run=True)
    assert report.classes == {"a": 1, "b": 1}
    assert report.left_out == {
        "lines: another one has their image": {"number": 1, "first": ["z/3.jpg"]}
    }


def test_classes_are_chosen_and_ordered(images: Path) -> None:
    text = "file,label\n1.jpg,a\n2.PNG,b\nx/1.jpg,c\n"
    report = convert(images, text, classes=("c", "a"))
    out = images.parent / "out"
    assert report.left_out["images of the class b"]["first"] == ["2.PNG"]
    assert ImageFolder(out).metainfo["classes"] == ("c", "a")
    with pytest.raises(ConfigError, match="out: expected nothing of that name yet"):
        convert(images, text)


@pytest.mark.parametrize("label", ["../b", "a/b", ".b", "..", "/b", r"a\b", "__MACOSX"])
def test_labels_that_lead_elsewhere_are_refused(images: Path, label: str) -> None:
    before = sorted(images.parent.rglob("*"))
    with pytest.raises(DataError, match=r"labels.csv, line 3: .* can be a folder's name"):
        convert(images, f"file,label\n1.jpg,a\n2.PNG,{label}\n")
    assert set(images.parent.rglob("*")) == {*before, images.parent / "labels.csv"}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("file,label\nq.jpg,a\n", {}, "labels.csv: expected a table with images of"),
        ("file,a,b\n1.jpg,1,0\n", {}, "labels.csv: expected columns of images and labels"),
        ("file,a\n1.jpg,1\n", {"columns": {"label": "z"}}, "a column 'z' for label"),
        ("file,label\n1.jpg,a\n", {"classes": ("b",)}, "found none of them in it"),
        ("file,label\n1.jpg,a\n", {"classes": ("a", "b")}, "images of the class 'b', found a"),
    ],
)
def test_bad_input_is_one_line(images: Path, text: str, options: Any, message: str) -> None:
    with pytest.raises((DataError, ConfigError), match=message) as error:
        convert(images, text, **options)
    assert "\n" not in str(error.value) and not (images.parent / "out").exists()
