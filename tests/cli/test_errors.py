"""Bad input is one line and exit code 2; a bug keeps its traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.errors import DataError


def test_a_data_loader_workers_error_is_unpacked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving, friendly_errors():
        raise DataError(
            "Caught DataError in DataLoader worker process 0.\nOriginal Traceback:\n  ...\n"
            "ean_transfer.errors.DataError: a.jpg: cannot be decoded\n"
        )
    assert leaving.value.code == 2
    assert capsys.readouterr().err == "error: a.jpg: cannot be decoded\n"


def test_a_file_that_cannot_be_opened_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.py"
    with pytest.raises(SystemExit), friendly_errors():
        file.read_text()
    assert capsys.readouterr().err == f"error: {file}: no such file or directory\n"


def test_ctrl_c_is_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving, friendly_errors():
        raise KeyboardInterrupt
    assert leaving.value.code == 130 and capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("bug", [ZeroDivisionError(), KeyError("x"), TypeError("f() got an ...")])
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)), friendly_errors():
        raise bug


def test_tracebacks_are_kept_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAN_TRACEBACK", "1")
    with pytest.raises(DataError), friendly_errors():
        raise DataError("no such folder")
