"""The terminal shows problems and notices, the log file everything."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from ean_transfer.io.notices import everything_shown, labelled, log_file, notice, set_terminal


def logged(file: Path, *, quiet: bool = False, everything: bool = False) -> list[str]:
    """Log one record of each kind; the lines of the log's file."""
    with everything_shown(everything):
        logger = MMLogger(file.stem, log_file=str(file))
        set_terminal(logger, quiet)
    logger.info("a detail")
    notice(logger, "10 images", "data")
    logger.warning("a problem")
    logger.warning('"FileClient" will be deprecated in future.')
    logger.error("a failure")
    for handler in logger.handlers:
        handler.flush()
    assert log_file(logger) == file
    return file.read_text().splitlines()


@pytest.mark.parametrize(
    ("quiet", "shown"),
    [
        (False, ["data        10 images", "warning: a problem", "error: a failure"]),
        (True, ["warning: a problem", "error: a failure"]),
    ],
)
def test_a_detail_is_in_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool, shown: list[str]
) -> None:
    lines = logged(tmp_path / f"quiet_{quiet}.log", quiet=quiet)
    output = capsys.readouterr()
    assert output.err.splitlines() == shown and output.out == ""
    assert len(lines) == 5 and lines[0].endswith("INFO - a detail")


def test_verbose_shows_what_the_file_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = logged(tmp_path / "verbose.log", quiet=True, everything=True)
    assert len(capsys.readouterr().err.splitlines()) == len(lines) == 5


def test_a_log_level_above_that_of_notices_hides_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = MMLogger("level", log_file=str(tmp_path / "a.log"), log_level="ERROR")
    set_terminal(logger)
    notice(logger, "10 images")
    logger.log(logging.WARNING, "a problem")
    assert capsys.readouterr().err == ""


def test_the_second_line_of_a_text_starts_below_the_first() -> None:
    first, second, third = labelled("result", "a\nb\n\nc").splitlines()[:3]
    assert first.index("a") == second.index("b") == 12 and third == ""
