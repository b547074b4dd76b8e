"""A stranger's annotation files run nothing."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import mmengine
import pytest
from mmengine.dataset import BaseDataset

from ean_transfer.classification.cifar import CheckedCIFAR10
from ean_transfer.errors import DataError
from ean_transfer.io.checkpoint import forbid_unsafe_loading
from tests.io.helpers import Reduced


@pytest.mark.parametrize("suffix", ["pkl", "pickle", "yaml", "yml"])
def test_no_annotation_file_runs_code(tmp_path: Path, suffix: str) -> None:
    marker, file = tmp_path / "ran", tmp_path / f"annotations.{suffix}"
    if suffix.startswith("p"):
        file.write_bytes(pickle.dumps(Reduced(os.mkdir, (str(marker),))))
    else:
        file.write_text(f"!!python/object/apply:os.mkdir [{marker}]")
    forbid_unsafe_loading()
    for read in (
        lambda: mmengine.load(file),
        lambda: BaseDataset(ann_file=str(file), serialize_data=False),
    ):
        with pytest.raises(DataError, match=r"a pickle|YAML of plain data"):
            read()
        assert not marker.exists()


def test_plain_annotations_are_read_and_results_written_as_pickles(tmp_path: Path) -> None:
    forbid_unsafe_loading()
    content = {"metainfo": {"classes": ["a"]}, "data_list": [{"gt_label": 0}]}
    for suffix in ("json", "yaml"):
        file = tmp_path / f"annotations.{suffix}"
        mmengine.dump(content, file)
        assert mmengine.load(file) == content
    mmengine.dump(content, tmp_path / "results.pkl")
    assert pickle.loads((tmp_path / "results.pkl").read_bytes()) == content


def test_cifars_pickles_are_read_by_their_hash_alone(tmp_path: Path) -> None:
    marker, folder = tmp_path / "ran", tmp_path / CheckedCIFAR10.base_folder
    folder.mkdir()
    for name, _ in [*CheckedCIFAR10.train_list, *CheckedCIFAR10.test_list]:
        (folder / name).write_bytes(pickle.dumps(Reduced(os.mkdir, (str(marker),))))
    shutil.copy(folder / "test_batch", folder / CheckedCIFAR10.meta["filename"])
    with pytest.raises((DataError, RuntimeError, AssertionError)):
        CheckedCIFAR10(data_root=str(tmp_path), split="train", download=False)
    assert not marker.exists()
