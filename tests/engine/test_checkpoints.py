"""Which checkpoint is resumed from, whatever has become of the records beside it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from ean_transfer.engine import checkpoints
from ean_transfer.engine.checkpoints import find_checkpoint, last_checkpoint
from ean_transfer.engine.runner import build_runner, require_new_work_dir
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.checkpoint import read_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A work dir with three checkpoints, the last of which is on record."""
    for epoch in (9, 10, 11):  # as text, 9 is the largest
        torch.save(
            {"meta": {"iter": epoch}, "state_dict": {"w": torch.ones(50)}},
            tmp_path / f"epoch_{epoch}.pth",
        )
    torch.save({"meta": {"iter": 99}, "state_dict": {}}, tmp_path / "best_MAE_epoch_1.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_11.pth"))
    return tmp_path


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(b"\x00\x00\x80\x3f") + 2] ^= 1  # within the first 1.0
    file.write_bytes(data)


@pytest.mark.parametrize("record", [None, "", "epo", "\0\xff", "/elsewhere/epoch_3.pth"])
def test_a_lost_record_leads_to_the_newest_checkpoint(folder: Path, record: str | None) -> None:
    if record is None:
        (folder / "last_checkpoint").unlink()
    else:
        (folder / "last_checkpoint").write_text(record, encoding="latin-1")
    file, notes = find_checkpoint(folder)
    assert file == folder / "epoch_11.pth"
    assert "last_checkpoint" in notes[0] and "epoch_11.pth" in notes[1]
    assert last_checkpoint(folder) == str(file)


def test_a_good_record_needs_no_word(folder: Path) -> None:
    assert find_checkpoint(folder) == (folder / "epoch_11.pth", [])


@pytest.mark.parametrize("harm", [flip, lambda file: file.write_bytes(file.read_bytes()[:200])])
def test_broken_checkpoints_are_passed_over(folder: Path, harm) -> None:
    harm(folder / "epoch_11.pth")
    harm(folder / "epoch_9.pth")
    file, notes = find_checkpoint(folder)
    assert file == folder / "epoch_10.pth"
    assert any("epoch_11.pth" in note for note in notes)
    harm(folder / "epoch_10.pth")
    with pytest.raises(CheckpointError, match="no other checkpoint"):
        find_checkpoint(folder)


def test_each_checkpoint_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(file: Path) -> dict:
        read.append(file.name)
        return read_checkpoint(file)

    monkeypatch.setattr(checkpoints, "read_checkpoint", reading)
    (folder / "last_checkpoint").unlink()
    assert find_checkpoint(folder)[0] == folder / "epoch_11.pth"
    assert sorted(read) == ["epoch_10.pth", "epoch_11.pth", "epoch_9.pth"]


def test_checkpoints_without_a_record_are_not_overwritten(toy, folder: Path) -> None:
    (folder / "last_checkpoint").unlink()
    with pytest.raises(ConfigError, match="epoch_10.pth.*--resume"):
        require_new_work_dir(toy("classification/toy"), folder)


def test_nothing_to_resume_is_said(
    toy, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(logging.Logger, "info", lambda self, text, *_, **__: said.append(text))
    runner = build_runner(toy("classification/toy"), tmp_path / "typo", resume=True, quiet=True)
    assert not runner.cfg.resume
    assert any("typo: no checkpoint to resume" in line for line in said)
