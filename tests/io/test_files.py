"""Writing in one step, and never over a file of somebody else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ean_transfer.errors import ConfigError
from ean_transfer.io.files import file_hash, refuse_to_replace, replacing, write_atomically


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "old")
    with pytest.raises(OSError, match="no space left"), replacing(file) as partial:
        partial.write_text("ne")
        raise OSError("no space left")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_process_left_is_removed_when_the_file_is_next_written(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.b[1].json"
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left = tmp_path / f".a.b[1].{killed.pid}.partial.json"
    of_another = tmp_path / f".c.{killed.pid}.partial.json"
    running = tmp_path / f".a.b[1].{os.getppid()}.partial.json"
    for partial in (left, of_another, running):
        partial.write_text("{")
    write_atomically(file, "new")
    assert set(tmp_path.iterdir()) == {file, of_another, running}


def test_a_file_is_on_the_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, done = tmp_path / "a.json", []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replaced(*paths: Path) -> None:
        done.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", replaced)
    write_atomically(file, "new")
    assert done == ["file", "replace", "folder"]


def test_a_temporary_file_lies_beside_and_has_the_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.png") as partial:
        assert partial.parent == tmp_path and partial.suffix == ".png"
        partial.write_bytes(b"1")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_a_written_file_is_readable_like_any_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", "Zürich")
    (tmp_path / "other").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "other")]
    assert modes[0] == modes[1]
    assert (tmp_path / "ours").read_text(encoding="utf-8") == "Zürich"


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    refuse_to_replace([ours, others], "a new folder")
    ours.touch()
    others.touch()
    refuse_to_replace([ours], "a new folder", lambda file: file.name == "ours")
    with pytest.raises(ConfigError, match="others: expected a new folder, found .*replaced"):
        refuse_to_replace([ours, others], "a new folder", lambda file: file.name == "ours")


def test_hash_is_the_start_of_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == "ba7816bf8f01cfea"
