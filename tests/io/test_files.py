"""Writing in one step, and never over a file of somebody else."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import (
    file_hash,
    locked,
    refuse_to_replace,
    replacing,
    require_writable,
    write_atomically,
)
from tests.helpers import ROOT


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomically(file, "old")
    with pytest.raises(OSError, match="no space left"), replacing(file) as partial:
        partial.write_text("ne")
        raise OSError("no space left")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_killed_processes_left_in_a_folder_is_removed_at_the_next_writing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.b[1].json"
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left = tmp_path / f".a.b[1].{killed.pid}.partial.json"
    of_another = tmp_path / f".c.{killed.pid}.partial"
    running = tmp_path / f".a.b[1].{os.getppid()}.partial.json"
    others = tmp_path / f".notes.{killed.pid}"
    for partial in (left, of_another, others, running):
        partial.write_text("{")
    write_atomically(file, "new")
    assert set(tmp_path.iterdir()) == {file, others, running}


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


def test_a_file_system_without_locks_locks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    with locked(tmp_path, wait=False), pytest.raises(ConfigError, match="another process works"):
        locked(tmp_path, wait=False).__enter__()
    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path, wait=False), locked(tmp_path, wait=True):
        pass


def test_hash_is_the_start_of_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == "ba7816bf8f01cfea"


@pytest.fixture
def small_disk():
    """No file may grow beyond 10 kB, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITERS = {
    "text": lambda file: write_atomically(file, "a" * 20_000),
    "a network": lambda file: write_network(torch.nn.Linear(100, 100), file),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, small_disk: None, kind: str
) -> None:
    file = tmp_path / "result.pth"
    file.write_text("old")
    with pytest.raises(OSError) as caught:
        WRITERS[kind](file)
    assert caught.value.filename == str(file)
    assert list(tmp_path.iterdir()) == [file] and file.read_text() == "old"


@pytest.mark.parametrize("kind", WRITERS)
def test_a_missing_folder_names_the_file(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        WRITERS[kind](tmp_path / "gone" / "result.pth")
    assert caught.value.filename == str(tmp_path / "gone" / "result.pth")


def test_other_errors_of_the_work_stay_what_they_are(tmp_path: Path) -> None:
    for error in (RuntimeError("no convergence"), FileNotFoundError(2, "none", "input.txt")):
        with pytest.raises(type(error)) as caught, replacing(tmp_path / "a.txt"):
            raise error
        assert getattr(caught.value, "filename", None) in (None, "input.txt")


def test_a_folder_without_write_access_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_writable(tmp_path / "new" / "newer" / "a.onnx")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file, which is a file"):
        require_writable(tmp_path / "file" / "a.onnx")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as root may write anywhere
    for refuse in (require_writable, lambda file: refuse_to_replace([file], "a new file")):
        with pytest.raises(ConfigError, match="a.onnx: .* which cannot be written to"):
            refuse(tmp_path / "new" / "a.onnx")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            ("export", "configs/classification/toy.py", "{}", "--out"),
            marks=pytest.mark.skipif(torch.__version__ < "2.9", reason="export needs torch 2.9"),
        ),
        ("fold", "report", "configs/classification/toy.py", "{}", "--out"),
        ("inspect", "gradcam", "configs/classification/toy.py", "a={}", "--out"),
    ],
    ids=lambda command: command[0],
)
def test_commands_notice_it_before_they_read_anything(
    run_tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(os, "access", lambda *_: False)
    suffix = {"export": ".onnx", "inspect": ".png"}.get(command[0], ".json")
    checkpoint = tmp_path / "not_read.pth"
    checkpoint.touch()
    typed = [word.format(checkpoint) for word in command]
    outcome = run_tool(*typed, tmp_path / f"out{suffix}")
    assert outcome.code == 2
    assert "cannot be written to" in outcome.err and "Traceback" not in outcome.err
