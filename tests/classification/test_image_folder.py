"""Image folders: what is found, what is cached, and what is said when something is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import RandomFlip
from mmengine.registry import DATASETS
from mmpretrain.datasets.transforms import PackInputs, RandomCrop

from ean_transfer.classification import HeldOutSplit, ImageFolder
from ean_transfer.classification import image_folder as folder
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


def test_classes_give_the_order_of_the_labels(root: Path) -> None:
    dataset = ImageFolder(root, "train", classes=("owl", "cat", "dog"))
    owls = [Path(dataset.get_data_info(i)["img_path"]).parent.name for i in range(12)]
    labels = dataset.get_gt_labels()
    assert {name: int(label) for name, label in zip(owls, labels, strict=True)} == {
        "owl": 0,
        "cat": 1,
        "dog": 2,
    }


@pytest.mark.parametrize("cache", [False, True])
def test_pipeline_gets_the_image_in_bgr(root: Path, cache: bool) -> None:
    dataset = ImageFolder(root, "train", cache=cache)
    item = dataset[0]
    expected = cv2.imread(str(root / "train" / "cat" / "0.png"))
    assert expected is not None and np.array_equal(item["img"], expected)
    assert item["img_shape"] == item["ori_shape"] == (32, 32)
    assert dataset[3]["img"].shape == (20, 20, 3)


def test_same_pipeline_serves_with_and_without_cache(root: Path) -> None:
    pipeline = [
        {"type": RandomCrop, "crop_size": 32, "padding": 6},
        {"type": RandomFlip, "prob": 0.5, "direction": "horizontal"},
        {"type": PackInputs},
    ]
    for cache in (False, True):
        dataset = ImageFolder(root, "train", cache=cache, pipeline=pipeline)
        for index in range(len(dataset)):
            assert dataset[index]["inputs"].shape == (3, 32, 32)


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
    decode = folder._decode

    def decode_and_note(path: str) -> folder.Image:
        decoded.append(path)
        return decode(path)

    monkeypatch.setattr(folder, "_decode", decode_and_note)
    config = {"type": "ImageFolder", "data_root": str(root), "split": "train", "cache": True}
    train, held_out = (
        HeldOutSplit(dataset=dict(config), part=part, per_class=1) for part in ("train", "held_out")
    )
    assert len(decoded) == 12
    assert (len(train), len(held_out)) == (9, 3)
    del train, held_out
    assert not [path for path in folder._in_memory if path.startswith(str(root))]


def test_only_the_images_asked_for_are_cached(root: Path) -> None:
    dataset = ImageFolder(root, "train", cache=True, indices=[0, 4, 8])
    assert len(dataset._images) == 3
    assert [dataset[i]["gt_label"] for i in range(3)] == [0, 1, 2]


# -- errors ----------------------------------------------------------------------------------------


def test_missing_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    config = {"type": "ImageFolder", "data_root": str(tmp_path / "cifar10"), "split": "train"}
    with pytest.raises(DataError, match=r"cifar10/train: no such image folder.*set data_root"):
        DATASETS.build(config)


def test_folder_without_classes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"train: no class folders"):
        ImageFolder(tmp_path, "train")


def test_class_without_images_is_named(root: Path) -> None:
    for file in (root / "train" / "dog").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"train/dog: no images in this class folder"):
        ImageFolder(root, "train")


def test_other_class_folders_than_given_are_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"3 class folders, expected the 3 given; .*: emu, owl"):
        ImageFolder(root, "train", classes=("cat", "dog", "emu"))


@pytest.mark.parametrize("cache", [False, True])
def test_broken_image_is_named(root: Path, cache: bool) -> None:
    (root / "train" / "cat" / "0.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"cat/0\.png: cannot be decoded as an image"):
        ImageFolder(root, "train", cache=cache)[0]


def test_annotation_file_is_not_silently_ignored(root: Path) -> None:
    with pytest.raises(ConfigError, match="ImageFolder takes no ann_file"):
        ImageFolder(root, "train", ann_file="train.txt")
