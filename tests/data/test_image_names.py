"""Two data sets share an image where they share a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from torch.utils.data import Subset

from ean_transfer.data.held_out import HeldOutEvery
from ean_transfer.data.image_names import image_names
from ean_transfer.toy.datasets import ToyClassification


class Files(BaseDataset):
    """Images in files of a folder."""

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"img_path": str(file)} for file in sorted(Path(self.data_root).iterdir())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in "abcdef":
        (tmp_path / "images" / f"{name}.png").touch()
    return tmp_path / "images"


def test_files_are_named_by_their_paths_with_links_resolved(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "other.png").symlink_to(folder / "b.png")
    names = image_names(Files(data_root=str(folder)))
    assert names is not None and len(names) == 6
    assert image_names(Files(data_root=str(tmp_path / "linked"))) == [names[1]]
    assert image_names(Files(data_root=f"{folder}/../images")) == names


def test_a_held_out_part_and_the_rest_share_nothing(folder: Path) -> None:
    parts = [
        image_names(HeldOutEvery(Files(data_root=str(folder)), part=part, every=3))
        for part in ("held_out", "train")
    ]
    held_out, rest = (set(names or ()) for names in parts)
    assert len(held_out) == 2 and len(rest) == 4 and not held_out & rest


def test_wrappers_have_the_images_that_they_wrap(folder: Path) -> None:
    files = Files(data_root=str(folder))
    names = image_names(files)
    assert names is not None
    assert image_names(RepeatDataset(files, times=3)) == names
    assert image_names(ConcatDataset([files, files])) == names + names
    assert image_names(Subset(files, [4, 0])) == [names[4], names[0]]
    assert image_names(Files(data_root=str(folder), indices=[4, 0])) == [names[4], names[0]]


def test_images_of_an_archive_are_named_by_split_and_index() -> None:
    def names(**options: Any) -> set[str]:
        return set(image_names(ToyClassification(**options)) or ())

    train = names(split="train", length=5)
    assert len(train) == 5
    assert names(split="train", length=3) < train
    assert names(split="train", length=5, indices=[4, 1]) < train
    assert not train & names(split="test", length=5)
    assert not train & names(split="train", length=5, seed=1)
    assert not train & names(split="train", length=5, world=dict(negatives=0.0))


@pytest.mark.parametrize(
    "dataset",
    [ToyClassification(length=5, indices=-2), [1, 2, 3], object()],
    ids=["the last of an unknown number", "a list", "an object"],
)
def test_images_that_cannot_be_named(dataset: Any) -> None:
    assert image_names(dataset) is None
