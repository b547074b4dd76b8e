"""Missing and misfitting files are found when a data set is built, before anything is trained."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmengine.registry import DATASETS
from PIL import Image

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_image
from ean_transfer.segmentation import CamVidDataset, pairs
from ean_transfer.segmentation.datasets import (
    CheckedADE20KDataset,
    CheckedCityscapesDataset,
    CheckedPascalVOCDataset,
    require_files,
)
from tests.segmentation.helpers import IMAGE, LABEL, PREFIX, TRAIN, ZEROS, open_dataset, saves


def test_images_without_labels_are_counted_and_the_first_is_named(root: Path) -> None:
    for i in (1, 2):
        (root / f"train/labels/{i}.png").unlink()
    with pytest.raises(DataError, match=rf"^{root / LABEL}: .* {root / IMAGE} \(and 1 more\)"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("values", "problem"),
    [(ZEROS + 7, "labels 0-4, 255.* found 7 in"), (ZEROS[:9, :9], "64 x 48 .*, found 9 x 9")],
)
def test_first_label_is_read(root: Path, values: np.ndarray, problem: str) -> None:
    saves(values)(root / "train/labels/0.png")
    with pytest.raises(DataError, match=rf"labels/0\.png: expected {problem}"):
        open_dataset(root)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (dict(img_suffix=".jpeg"), r"train/images: expected images \(\*\.jpeg\), found none"),
        (dict(seg_map_suffix="_x.png"), r"0_x\.png: no such file, .*0\.jpg \(and 2 more\)"),
        (dict(data_prefix=dict(img_path="val")), r"val: no such .* img_path; .* data_root"),
        (dict(ann_file="names.txt"), r"names\.txt: no such .* ann_file"),
        (dict(ann_file="wrong.txt"), r"images/7\.jpg: no such file"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_the_config_gets_wrong_is_named(root: Path, options, problem: str) -> None:
    (root / "wrong.txt").write_text("0\n7\n")
    with pytest.raises(DataError, match=problem):
        open_dataset(root, **options)


def test_empty_lines_and_the_mark_of_windows_editors_are_no_images(root: Path) -> None:
    (root / "names.txt").write_text("1\n\n 0 \n \n", encoding="utf-8-sig")
    dataset = open_dataset(root, ann_file="names.txt")
    assert [Path(info["img_path"]).stem for info in dataset.load_data_list()] == ["1", "0"]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings that data sets log."""
    texts: list[str] = []

    def log(text: str, level: int, **_: object) -> None:
        assert level == logging.WARNING
        texts.append(text)

    monkeypatch.setattr(pairs, "print_log", log)
    return texts


def test_labels_without_an_image_are_logged(root: Path, logged: list[str]) -> None:
    open_dataset(root)
    assert not logged
    (root / IMAGE).unlink()
    (root / "train/labels/._0.png").write_text("another system's")
    assert len(open_dataset(root)) == 2
    assert len(logged) == 1 and logged[0].startswith(f"{root / LABEL}: left out, there is no image")


def test_images_of_another_kind_are_counted_and_taken_by_a_list_of_suffixes(root, logged) -> None:
    Image.fromarray(ZEROS).save(root / "train/images/7.png")
    Image.fromarray(ZEROS).save(root / "train/labels/7.png")
    (root / IMAGE).rename(root / "train/images/1.jpeg")
    (root / "train/images/._0.jpg").write_text("another system's")
    assert len(open_dataset(root)) == 2
    (line,) = logged  # one that speaks of the images, and none of their labels
    assert line.startswith(f"{root}/train/images: left out 3 files, where images end in .jpg: ")
    assert line.endswith("; add .jpeg and .png to img_suffix, a list, to take them")
    logged.clear()
    dataset = open_dataset(root, img_suffix=[".jpg", ".jpeg", ".png"])
    assert [info["img_path"][-5:] for info in dataset.load_data_list()] == [
        "0.jpg",
        ".jpeg",
        "2.jpg",
        "7.png",
    ]
    assert len(logged) == 2 and all("1 hidden *.jpg (._0.jpg)" in line for line in logged)


@pytest.mark.parametrize("names", [None, "0\n1\n2\n"], ids=["folder", "list"])
@pytest.mark.parametrize("suffix", ["JPG", "Jpg"])
def test_suffixes_in_capitals_are_read(root: Path, logged, suffix: str, names) -> None:
    (root / IMAGE).rename((root / IMAGE).with_suffix(f".{suffix}"))
    (root / LABEL).rename((root / LABEL).with_suffix(".PNG"))
    if names:
        (root / "names.txt").write_text(names)
    dataset = open_dataset(root, ann_file="names.txt" if names else "")
    assert len(dataset) == 3 and not logged
    assert dataset[1]["data_samples"].img_path == str(root / f"train/images/1.{suffix}")
    assert dataset[1]["data_samples"].seg_map_path == str(root / "train/labels/1.PNG")


@pytest.mark.parametrize("second", ["images/1.JPG", "labels/1.PNG"])
def test_two_files_of_one_name_are_refused(root: Path, second: str) -> None:
    (root / "train" / second).touch()
    with pytest.raises(
        DataError, match=rf"{second}: expected one file of this name, found .*1\.\w+"
    ):
        open_dataset(root)


def test_images_and_labels_may_share_a_folder(root: Path, logged) -> None:
    for i in range(3):
        (root / f"train/labels/{i}.png").rename(root / f"train/images/{i}_mask.PNG")
        (root / f"train/images/{i}.jpg").rename(root / f"train/images/{i}.png")
    both = dict(img_path="train/images", seg_map_path="train/images")
    dataset = open_dataset(root, data_prefix=both, img_suffix=".png", seg_map_suffix="_mask.png")
    assert len(dataset) == 3 and not logged
    assert dataset[2]["data_samples"].seg_map_path.endswith("2_mask.PNG")


# -- orientation -----------------------------------------------------------------------------------


def turn(root: Path, orientation: int, number: int = 1) -> None:
    file = root / f"train/images/{number}.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(file) as image:
        image.save(file, exif=exif)


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_labels_that_fit_both_ways_need_a_word(root: Path, orientation: int) -> None:
    turn(root, orientation)
    turn(root, orientation, 2)
    message = rf"1\.jpg: .*orientation {orientation} \(and 1 more\); .*exif='apply'.*exif='ignore'"
    with pytest.raises(DataError, match=message):
        open_dataset(root)
    for exif in ("apply", "ignore"):
        dataset = open_dataset(root, [dict(TRAIN[0], exif=exif), *TRAIN[1:]])
        expected = read_image(root / IMAGE, exif)
        assert (dataset[1]["inputs"].numpy().transpose(1, 2, 0) == expected).all()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_the_size_of_labels_tells_which_way_they_were_drawn(root: Path, orientation: int) -> None:
    turn(root, orientation)
    with pytest.raises(DataError, match=r"1\.png: expected 48 x 64 .*found 64 x 48.*exif='ignore'"):
        open_dataset(root)[1]
    dataset = open_dataset(root, [dict(TRAIN[0], exif="ignore"), *TRAIN[1:]])
    assert dataset[1]["inputs"].shape == (3, 48, 64)
    saves(ZEROS.T)(root / LABEL)
    assert open_dataset(root)[1]["inputs"].shape == (3, 64, 48)
    for number, values in ((1, ZEROS), (0, ZEROS)):  # square images keep their size
        saves(np.zeros((48, 48, 3), np.uint8), "JPEG")(root / f"train/images/{number}.jpg")
        saves(values[:, :48])(root / f"train/labels/{number}.png")
    turn(root, orientation)
    with pytest.raises(DataError, match=rf"1\.jpg: .*orientation {orientation};"):
        open_dataset(root)


def test_data_set_without_labels_has_samples_without_labels(root: Path) -> None:
    prefix = dict(img_path="train/images")
    dataset = open_dataset(root, [TRAIN[0], TRAIN[2]], data_prefix=prefix)
    assert "gt_sem_seg" not in dataset[0]["data_samples"]
    dataset = open_dataset(root, data_prefix=prefix)
    with pytest.raises(ConfigError, match=r"0\.jpg: expected .*seg_map_path"):
        dataset[0]


def test_samples_of_any_data_set_can_be_required(root: Path) -> None:
    info = dict(img_path=str(root / IMAGE), seg_map_path=str(root / LABEL))
    require_files([info, dict(img_path=info["img_path"])])
    with pytest.raises(DataError, match=r"labels/9\.png: no such file"):
        require_files([info, info | dict(seg_map_path=str(root / "train/labels/9.png"))])


# -- data sets of mmseg ----------------------------------------------------------------------------


def test_ade20k_names_the_values_in_the_file(root: Path) -> None:
    values = np.tile(np.array([0, 1, 150, 255], np.uint8).repeat(16), (48, 1))
    saves(values)(root / "train/labels/0.png")
    dataset = CheckedADE20KDataset(data_root=str(root), data_prefix=PREFIX, pipeline=TRAIN)
    assert dataset.metainfo["reduce_zero_label"]
    assert dataset[0]["data_samples"].gt_sem_seg.data[0, 0, ::16].tolist() == [255, 0, 149, 255]
    saves(values + (values == 150))(root / LABEL)
    with pytest.raises(DataError, match="expected labels 0-150, 255, found 151 "):
        dataset[1]


def test_lists_of_voc_are_checked_as_a_concatenation(root: Path) -> None:
    (root / "train.txt").write_text("0\n1\n")
    (root / "aug.txt").write_text("2\n")
    voc = dict(
        type=CheckedPascalVOCDataset, data_root=str(root), data_prefix=PREFIX, pipeline=TRAIN
    )
    lists = [dict(voc, ann_file=name) for name in ("train.txt", "aug.txt")]
    concatenation = dict(type=ConcatDataset, datasets=lists)
    assert len(DATASETS.build(concatenation)) == 3
    (root / "train/labels/2.png").unlink()
    with pytest.raises(DataError, match=r"labels/2\.png: no such file"):
        DATASETS.build(concatenation)


def test_cityscapes_finds_its_suffixes(root: Path) -> None:
    for folder, suffix in (("images", "leftImg8bit"), ("labels", "gtFine_labelTrainIds")):
        (root / "city" / folder / "ulm").mkdir(parents=True)
        Image.fromarray(ZEROS).save(root / "city" / folder / "ulm" / f"ulm_0_{suffix}.png")
    prefix = dict(img_path="city/images", seg_map_path="city/labels")
    dataset = CheckedCityscapesDataset(data_root=str(root), data_prefix=prefix, pipeline=TRAIN)
    assert len(dataset) == 1 and dataset[0]["data_samples"].gt_sem_seg.data.max() == 0


OWN = [CheckedADE20KDataset, CheckedCityscapesDataset, CheckedPascalVOCDataset, CamVidDataset]


@pytest.mark.parametrize("kind", OWN)
def test_classes_of_ones_own_belong_to_another_data_set(root: Path, kind: type) -> None:
    own = dict(data_root=str(root), data_prefix=PREFIX, ann_file="", pipeline=TRAIN)
    line = rf"{kind.__name__}: .*found 'tumour'; .*CheckedSegDataset.*own_segmentation"
    with pytest.raises(ConfigError, match=line):
        kind(**own, metainfo=dict(classes=("tumour", "background")))


def test_one_colour_per_class(root: Path) -> None:
    with pytest.raises(ConfigError, match="found 1 colours and 5 classes"):
        open_dataset(root, metainfo=dict(classes=tuple("abcde"), palette=[[1, 2, 3]]))
