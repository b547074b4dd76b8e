"""Images are found by their suffixes in capitals or not, and what is left out is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.io.image_files import IMAGE_SUFFIXES, has_suffix, list_images


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_capitals_make_no_difference(tmp_path: Path, suffix: str) -> None:
    wanted = [f"a{suffix}", f"b{suffix.upper()}", f"c{suffix.title()}"]
    assert names(list_images(touch(tmp_path, *wanted)).images, tmp_path) == wanted


def test_hidden_files_and_folders_hold_no_images_and_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "._a.jpg", ".DS_Store", ".ipynb_checkpoints/a.jpg", "sub/b.jpg")
    listing = list_images(tmp_path, recursive=True)
    assert names(listing.images, tmp_path) == ["a.jpg", "sub/b.jpg"]
    assert names(listing.left_out, tmp_path) == ["._a.jpg"]
    assert "left out 1 file," in listing.left_out_text()
    assert listing.left_out_text().endswith(": 1 hidden *.jpg (._a.jpg)")
    assert names(list_images(tmp_path).images, tmp_path) == ["a.jpg"]


def test_other_kinds_are_counted_with_an_example_of_each(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.PNG", "c.png", "d.gif", "README")
    listing = list_images(tmp_path, ".jpg")
    assert names(listing.images, tmp_path) == ["a.jpg"]
    text = listing.left_out_text("add .png to img_suffix")
    assert text.startswith(f"{tmp_path}: left out 4 files, where images end in .jpg: ")
    for part in ("2 *.png (b.PNG, ...)", "1 *.gif (d.gif)", "1 without a suffix"):
        assert part in text
    assert text.endswith("; add .png to img_suffix")
    assert list_images(tmp_path, [".jpg", ".png", ".gif", "readme"]).left_out_text() == ""


def test_suffix_may_be_the_end_of_a_name(tmp_path: Path) -> None:
    touch(tmp_path, "1_rgb.png", "1_mask.png", "2_RGB.png")
    assert names(list_images(tmp_path, "_rgb.png").images, tmp_path) == ["1_rgb.png", "2_RGB.png"]
    assert has_suffix("x/1_RGB.PNG", ["_rgb.png"]) and not has_suffix("x/._1_rgb.png", ["_rgb.png"])


def test_linked_folders_are_searched_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    touch(tmp_path, "there/a.jpg")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/link").symlink_to(tmp_path / "there")
    assert len(list_images(tmp_path / "here", recursive=True).images) == 1
    assert list_images(tmp_path / "missing").images == []
