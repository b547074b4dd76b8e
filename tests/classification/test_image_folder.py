"""Image folders: what is found, what is cached, and what is said when something is missing."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import RandomFlip
from mmengine.registry import DATASETS
from mmpretrain.datasets.transforms import PackInputs, RandomCrop

from ean_transfer.classification import HeldOutSplit, ImageFolder, image_folder
from ean_transfer.errors import ConfigError, DataError

CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of four random images, 32 x 32 and one of another size, jpg and png."""
    generator = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(4):
            side = 20 if number == 3 else 32
            image = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
            suffix = "jpg" if number % 2 else "png"
            cv2.imwrite(str(tmp_path / "train" / name / f"{number}.{suffix}"), image)
    return tmp_path


def test_every_image_has_its_folders_label(root: Path) -> None:
    dataset = ImageFolder(root, "train")
    assert dataset.metainfo["classes"] == CLASSES
    assert dataset.get_gt_labels().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert ImageFolder(root / "train").get_gt_labels().tolist() == dataset.get_gt_labels().tolist()


def test_classes_are_in_the_order_of_their_names_on_windows_too(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "train" / "owl").rename(root / "train" / "Owl")
    monkeypatch.setattr(PurePath, "__lt__", lambda one, two: str(one).lower() < str(two).lower())
    assert ImageFolder(root, "train").metainfo["classes"] == ("Owl", "cat", "dog")


def test_a_list_gives_the_order_of_the_images(root: Path) -> None:
    files = ["owl/2.png", "cat/0.png", "dog/1.jpg", "cat/3.jpg"]
    (root / "some.txt").write_text("\n".join(files))
    dataset = ImageFolder(root / "train", str(root / "some.txt"))
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [
        Path(info["img_path"]).relative_to(root / "train").as_posix() for info in infos
    ] == files
    assert [info["gt_label"] for info in infos] == [2, 0, 1, 0]


def test_with_a_list_only_the_folders_of_its_images_are_compared_with_the_classes(
    root: Path,
) -> None:
    (root / "train" / "notes").mkdir()
    (root / "some.txt").write_text("owl/2.png\ncat/0.png\n")
    config = dict(data_root=root / "train", split=str(root / "some.txt"))
    dataset = ImageFolder(**config, classes=("cat", "elk", "owl"))  # no folder for one of them
    assert dataset.get_gt_labels().tolist() == [2, 0]
    with pytest.raises(DataError, match=r"differ from the classes in owl:"):
        ImageFolder(**config, classes=("cat", "dog"))


def test_classes_give_the_order_of_the_labels(root: Path) -> None:
    dataset = ImageFolder(root, "train", classes=("owl", "cat", "dog"))
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    labels = {Path(info["img_path"]).parent.name: info["gt_label"] for info in infos}
    assert labels == {"owl": 0, "cat": 1, "dog": 2}


@pytest.mark.parametrize("cache", [False, True])
def test_pipeline_gets_the_image_in_bgr(root: Path, cache: bool) -> None:
    dataset = ImageFolder(root, "train", cache=cache)
    item = dataset[0]
    expected = cv2.imread(str(root / "train" / "cat" / "0.png"))
    assert expected is not None and np.array_equal(item["img"], expected)
    assert item["img_shape"] == item["ori_shape"] == (32, 32)
    assert dataset[3]["img"].shape == (20, 20, 3)


@pytest.mark.parametrize("cache", [False, True])
def test_same_pipeline_serves_with_and_without_cache(root: Path, cache: bool) -> None:
    pipeline = [
        {"type": RandomCrop, "crop_size": 32, "padding": 6},
        {"type": RandomFlip, "prob": 0.5, "direction": "horizontal"},
        {"type": PackInputs},
    ]
    for item in ImageFolder(root, "train", cache=cache, pipeline=pipeline):
        assert item["inputs"].shape == (3, 32, 32)


def test_cached_images_survive_the_folder_and_a_transform_that_writes(root: Path) -> None:
    def blacken(info: dict[str, Any]) -> dict[str, Any]:
        before = info["img"].copy()
        info["img"][:] = 0
        return {"before": before}

    dataset = ImageFolder(root, "train", cache=True, pipeline=[blacken])
    first = dataset[0]["before"]
    (root / "train" / "cat" / "0.png").unlink()
    assert first.any()
    assert np.array_equal(dataset[0]["before"], first)


def test_two_parts_of_a_folder_share_their_pixels_and_free_them(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = image_folder._decode

    def decode_and_note(path: str) -> image_folder.Image:
        decoded.append(path)
        return decode(path)

    monkeypatch.setattr(image_folder, "_decode", decode_and_note)
    config = {"type": "ImageFolder", "data_root": str(root), "split": "train", "cache": True}
    train, held_out = (
        HeldOutSplit(dataset=dict(config), part=part, per_class=1) for part in ("train", "held_out")
    )
    assert len(decoded) == 12
    assert (len(train), len(held_out)) == (9, 3)
    del train, held_out
    assert not [path for path in image_folder._in_memory if path.startswith(str(root))]


def test_only_the_images_asked_for_are_cached(root: Path) -> None:
    dataset = ImageFolder(root, "train", cache=True, indices=[0, 4, 8])
    assert len(dataset._images) == 3
    assert [dataset[i]["gt_label"] for i in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("split", "classes", "message"),
    [
        ("gone", None, r"gone/<class>/\*\.bmp .*, found no such folder: .* set data_root"),
        ("train/cat", None, r"cat/<class>/.*, found no class folders"),
        ("train", ("cat", "dog", "emu", "owl"), r"found no images in emu"),
        ("train", ("cat", "dog", "elk", "emu"), r"differ from the classes in elk, owl"),
    ],
)
def test_missing_folders_and_images_are_named(
    root: Path, split: str, classes: tuple[str, ...] | None, message: str
) -> None:
    (root / "train" / "emu").mkdir(parents=True)
    config = {"type": "ImageFolder", "data_root": str(root), "split": split, "classes": classes}
    with pytest.raises(DataError, match=message):
        DATASETS.build(config)


@pytest.mark.parametrize("cache", [False, True])
def test_broken_image_is_named(root: Path, cache: bool) -> None:
    (root / "train" / "cat" / "0.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"cat/0\.png: expected an image, cannot read it"):
        ImageFolder(root, "train", cache=cache)[0]


def test_an_annotation_file_is_refused_and_not_ignored(root: Path) -> None:
    with pytest.raises(ConfigError, match="takes no ann_file"):
        ImageFolder(root, "train", ann_file="train.txt")


def test_other_suffixes_and_hidden_files_make_no_class_and_are_counted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(image_folder, "print_log", lambda line, **_: lines.append(line))
    train = root / "train"
    plain = [Path(info["img_path"]).name for info in ImageFolder(root, "train")]
    assert not lines
    (train / "cat" / "0.png").rename(train / "cat" / "0.PNG")
    (train / "cat" / "deeper").mkdir()
    (train / "cat" / "1.jpg").rename(train / "cat" / "deeper" / "1.JPG")
    image = (train / "owl" / "0.png").read_bytes()
    for hidden in ("__MACOSX/cat/._0.png", ".ipynb_checkpoints/0-checkpoint.png", "dog/._0.png"):
        (train / hidden).parent.mkdir(parents=True, exist_ok=True)
        (train / hidden).write_bytes(image)
    for other in ("dog/Thumbs.db", "cat/.DS_Store", "owl/9.gif", "loose.png"):
        (train / other).write_bytes(image)
    dataset = ImageFolder(root, "train")
    assert dataset.metainfo["classes"] == CLASSES
    assert dataset.get_gt_labels().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    names = sorted(Path(info["img_path"]).name.lower() for info in dataset)
    assert names == sorted(name.lower() for name in plain)
    (line,) = lines
    for part in ("loose.png: in no class", "*.db (dog/Thumbs.db)", "*.gif (owl/9.gif)", "._0.png"):
        assert part in line


def test_an_image_of_more_than_8_bits_is_refused_and_not_cut_to_its_high_byte(root: Path) -> None:
    cv2.imwrite(str(root / "train" / "cat" / "0.png"), np.full((32, 32, 3), 4095, np.uint16))
    with pytest.raises(DataError, match=r"cat/0\.png: expected 8 bits per channel"):
        ImageFolder(root, "train")[0]
