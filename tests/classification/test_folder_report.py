"""What the report on a folder of class folders lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ean_transfer.classification.contact_sheet import contact_sheet
from ean_transfer.classification.folder_report import check_folder, report_text
from ean_transfer.errors import ConfigError, DataError


def write_image(file: Path, seed: int, size: int = 16) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(values).save(file)
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images of class cat, one of dog."""
    for seed, file in enumerate(("cat/0.png", "cat/1.JPG", "cat/2.png", "dog/0.png")):
        write_image(tmp_path / "train" / file, seed)
    return tmp_path


def test_a_clean_folder_has_its_images_counted(root: Path) -> None:
    report = check_folder(root, split="train")
    assert report.problems == ()
    assert report.classes == {"cat": 3, "dog": 1}
    assert report.class_weights == {"cat": 0.6667, "dog": 2.0}
    assert report.facts.suffixes == {".png": 3, ".JPG": 1}
    assert report.facts.sizes == {"16 x 16": 4} and report.facts.depths == {"8 bits RGB": 4}
    assert "no problems" in report_text(report)
    assert contact_sheet(root, split="train").ndim == 3


def test_every_kind_of_problem_is_listed_with_its_file(root: Path) -> None:
    train = root / "train"
    (train / "owl").mkdir()
    (root / "classes.txt").write_text("cat\nowl\n")
    write_image(train / "loose.png", 9)
    write_image(train / "dog" / "9.png", 1).write_bytes(b"no image")
    (train / "dog" / "copy.png").write_bytes((train / "cat" / "0.png").read_bytes())
    Image.fromarray(np.zeros((16, 16), np.uint16)).save(train / "dog" / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(train / "dog" / "turned.jpg", exif=exif)
    for other in ("dog/Thumbs.db", "dog/._0.png", "cat/x.gif"):
        (train / other).write_bytes(b"x")
    report = check_folder(root, split="train")
    assert set(report.problems) == set(report.HEADINGS)
    assert report.classes_without_images == ("owl",) and report.class_weights["owl"] is None
    assert report.images_without_class == ("loose.png",)
    assert sorted(report.unreadable_images) == ["dog/9.png", "dog/deep.png"]
    assert report.in_several_classes == {"dog/copy.png": "cat/0.png"}
    assert report.facts.orientations == {"dog/turned.jpg": 6}
    assert report.facts.depths["16 bits grey"] == 1
    assert report.left_out == ("cat/x.gif", "dog/._0.png", "dog/Thumbs.db")
    text = report_text(report)
    for part in ("loose.png", "dog/9.png", "dog/copy.png: cat/0.png", "turned.jpg (6)"):
        assert part in text
    assert contact_sheet(root, split="train").ndim == 3


def test_a_link_to_nothing_is_an_unreadable_image(root: Path) -> None:
    (root / "train" / "dog" / "1.png").symlink_to("gone.png")
    report = check_folder(root, split="train")
    assert report.problems == ("unreadable_images",)
    assert list(report.unreadable_images) == ["dog/1.png"]


def test_what_is_no_such_folder_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match="gone: expected <class>.*found no such folder"):
        check_folder(root, split="gone")
    with pytest.raises(
        DataError, match=r"cat: expected .*no image in a class's folder.*3 such images"
    ):
        check_folder(root / "train" / "cat")
    with pytest.raises(ConfigError, match="classification: unknown field 'labels'"):
        check_folder(root, labels="x")
