"""Bad input is one line and exit code 2; a bug keeps its traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmseg.models.losses import CrossEntropyLoss

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.main import main
from ean_transfer.errors import DataError
from tests.helpers import CONFIGS, ROOT

TOY = str(CONFIGS / "classification" / "toy.py")


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


@pytest.mark.parametrize("library", ["libGL.so.1", "libgthread-2.0.so.0"])
def test_a_machine_without_opencvs_libraries_is_told_what_to_install(
    tmp_path: Path, library: str
) -> None:
    (tmp_path / "cv2").mkdir()
    text = f"{library}: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2" / "__init__.py").write_text(f"raise ImportError({text!r})\n")
    outcome = subprocess.run(
        [sys.executable, ROOT / "tools" / "train.py", CONFIGS / "classification" / "toy.py"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 2
    assert outcome.stderr.count("\n") == 1
    assert library in outcome.stderr
    assert "pip install --no-deps --force-reinstall opencv-python-headless==" in outcome.stderr


def test_another_import_that_fails_keeps_its_traceback() -> None:
    with pytest.raises(ImportError), friendly_errors():
        raise ImportError("libGL.so.1: cannot open shared object file")


def test_a_loss_with_weights_of_classes_gives_no_advice_that_makes_it_fail(
    recwarn: pytest.WarningsRecorder,
) -> None:
    with friendly_errors():
        CrossEntropyLoss(class_weight=[0.3, 4.0], avg_non_ignore=False)
    assert not recwarn.list


def test_ctrl_c_gives_the_command_that_continues(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving, friendly_errors("ean train a.py --resume"):
        raise KeyboardInterrupt
    assert leaving.value.code == 130
    assert capsys.readouterr().err == "interrupted: go on with: ean train a.py --resume\n"


@pytest.mark.parametrize(("code", "said"), [(130, True), (143, True), (2, False), (0, False)])
def test_a_training_that_saved_and_left_gives_it_as_well(
    capsys: pytest.CaptureFixture[str], code: int, said: bool
) -> None:
    with pytest.raises(SystemExit), friendly_errors("ean train a.py --resume"):
        raise SystemExit(code)
    assert ("ean train a.py --resume" in capsys.readouterr().err) == said


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        (["train", TOY, "--work-dir", "my runs"], f"ean train {TOY} --work-dir 'my runs' --resume"),
        (["train", TOY, "--resume"], f"ean train {TOY} --resume"),
        (["study", TOY], f"ean study {TOY}"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_said_is_the_command_that_was_typed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: list[str],
    again: str,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ean_transfer.engine.config.load_config", interrupted)
    with pytest.raises(SystemExit):
        main(typed)
    assert capsys.readouterr().err == f"interrupted: go on with: {again}\n"
