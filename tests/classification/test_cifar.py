"""CIFAR from its original files."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock
from urllib.error import URLError

import pytest
from mmpretrain.datasets import cifar

from ean_transfer.classification import CheckedCIFAR10, CheckedCIFAR100
from ean_transfer.errors import DataError


@pytest.mark.parametrize(
    ("kind", "folder"),
    [(CheckedCIFAR10, "cifar-10-batches-py"), (CheckedCIFAR100, "cifar-100-python")],
)
def test_without_files_and_network_it_says_what_belongs_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, folder: str
) -> None:
    offline = Mock(side_effect=URLError("no network"))
    monkeypatch.setattr(cifar, "download_and_extract_archive", offline)
    message = f"^{tmp_path}/?: expected {folder} in this folder.*no network.*unpack .*tar.gz there"
    with pytest.raises(DataError, match=message):
        kind(data_root=str(tmp_path), split="train", pipeline=[])


def test_without_download_and_where_another_process_has_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = dict(data_root=str(tmp_path), split="train", pipeline=[], download=False)
    with pytest.raises(DataError, match=r"cifar-10-batches-py .*Cannot find.*: unpack https"):
        CheckedCIFAR10(**options)
    monkeypatch.setattr(cifar.dist, "is_main_process", lambda: False)
    with pytest.raises(DataError, match=r"cifar-10-batches-py .*unpack .*tar.gz there"):
        CheckedCIFAR10(**options)
