"""What is seen in a folder: its usable images, classes and sizes, and its faults."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ean_transfer.classification import ImageFolder
from ean_transfer.errors import DataError
from ean_transfer.project.data import look
from tests.project.data import (
    MAKERS,
    NUMBER,
    classes_of_images,
    images_and_masks,
    images_and_points,
    write,
)


@pytest.mark.parametrize(
    ("task", "classes", "size"),
    [
        ("classification", ("blue", "red"), (56, 48)),
        ("segmentation", ("ground", "thing"), (96, 72)),
        ("counting", (), (100, 80)),
    ],
)
def test_a_whole_folder(task, classes: tuple[str, ...], size: tuple[int, int], tmp_path) -> None:
    folder = look(task, MAKERS[task](tmp_path)).train
    assert folder.number == len(folder.all_images) == NUMBER
    assert (folder.classes, folder.size) == (classes, size) and 0 < folder.smallest <= size[1]
    assert folder.left_out == () and all((folder.root / i).is_file() for i in folder.all_images)


def test_images_with_a_fault_are_left_out(tmp_path: Path) -> None:
    root = images_and_masks(tmp_path)
    (root / "images" / "3x.jpg").write_bytes(b"no image")
    write(root / "labels" / "4x.png", np.zeros((10, 10), np.uint8))
    write(root / "labels" / "5x.png", np.full((72, 96), 7, np.uint8))  # no such class
    (root / "labels" / "6x.png").unlink()
    folder = look("segmentation", root).train
    assert folder.left_out == tuple(f"images/{n}x.jpg" for n in (3, 4, 5, 6))
    assert folder.number == NUMBER - 4 and "values that are no class" in folder.report


def test_uneven_classes_have_weights(tmp_path: Path) -> None:
    root = classes_of_images(tmp_path)
    for file in sorted((root / "red").iterdir())[2:]:
        file.unlink()
    blue, red = look("classification", root).train.weights
    assert red > 1.5 * blue


def test_parts_that_the_data_comes_in_are_kept(tmp_path: Path) -> None:
    classes_of_images(tmp_path / "train")
    classes_of_images(tmp_path / "val", 10)
    data = look("classification", tmp_path)
    assert (data.train.number, data.val and data.val.number) == (NUMBER, 10)
    shutil.copytree(tmp_path / "val" / "red", tmp_path / "val" / "pink")
    with pytest.raises(DataError, match="expected the classes of .* found 'pink' as well"):
        look("classification", tmp_path)


def test_lists_of_the_usable_images_are_read_beside_an_empty_folder_and_without_a_class(
    tmp_path: Path,
) -> None:
    classes_of_images(tmp_path / "train")
    (tmp_path / "train" / "notes").mkdir()
    classes_of_images(tmp_path / "val", 10)
    shutil.rmtree(tmp_path / "val" / "blue")
    data = look("classification", tmp_path)
    for part, number in ((data.train, NUMBER), (data.val, 5)):
        (tmp_path / "list.txt").write_text("\n".join(part.all_images))
        chosen = ImageFolder(part.root, str(tmp_path / "list.txt"), classes=data.train.classes)
        assert len(chosen) == number


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    root = classes_of_images(tmp_path)
    shutil.rmtree(root / "blue")
    with pytest.raises(DataError, match="expected images of two classes or more, found .*red"):
        look("classification", root)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        look("counting", tmp_path / "nothing")


@pytest.mark.parametrize("task", MAKERS)
def test_a_split_that_is_a_folder_is_the_datas_folder(task, tmp_path: Path) -> None:
    MAKERS[task](tmp_path / "part")
    whole, part = look(task, tmp_path / "part"), look(task, tmp_path, {"split": "part"})
    assert part == whole


def test_images_that_are_not_the_tables_are_warned_of(tmp_path: Path) -> None:
    root = images_and_points(tmp_path)
    for image in sorted((root / "photos").iterdir()):
        shutil.copy(image, image.with_name(image.name.replace("x.png", "dots.png")))
    folder = look("counting", root).train
    assert folder.number == 2 * NUMBER
    assert "20 of 40 images have no line in points.csv" in folder.warnings[0]
    data = look("counting", root, {"image_suffix": "x.png"})
    assert data.train.number == NUMBER and not data.train.warnings
    assert data.options == {"image_suffix": "x.png"}
