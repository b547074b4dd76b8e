"""Every command line of the README, the docs and the configs is one that its command takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ean_transfer.cli.main import COMMANDS, command_parser
from tests.helpers import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.py"))
START = re.compile(  # PYTHONPATH=. python tools/NAME.py, torchrun ... tools/NAME.py, ean NAME
    r"(?:\$ )?(?:\w+=\S* )?(?:(?:python|torchrun) (?:-\S+ )*tools/(\w+)\.py|ean ([a-z]\w*))(?= |$)"
)


def command_lines(text: str) -> Iterator[str]:
    """The command lines of a text: whole lines, and what stands between backticks."""
    joined = re.sub(r"\\\n\s*", "", text)
    prose = re.sub(r"^```.*?^```", "", joined, flags=re.M | re.S)
    inline = re.findall(r"`([^`]+/[^`]+/[^`]+)`", prose)  # with a path behind tools/NAME.py
    for line in (*joined.splitlines(), *inline):
        line = re.sub(r"\s+", " ", line).strip()
        # Alternatives and names of commands without arguments are no command lines.
        start = START.match(line)
        if start and line[start.end() :].strip() and not re.search(r"\[|\|", line):
            yield line


def arguments_of(line: str) -> tuple[str, list[str]]:
    """A line's command and arguments; what a shell or a reader fills in is one word."""
    start = START.match(line)
    assert start is not None
    rest = re.sub(r"\$\([^)]*\)", "FILLED_IN", line[start.end() :])
    words = shlex.split(rest, comments=True)
    return start[1] or start[2], ["1" if word == "N" else word for word in words]


CASES = sorted({line for file in (*PAGES, *CONFIGS) for line in command_lines(file.read_text())})


def test_lines_are_collected() -> None:
    text = """
    $ python tools/study.py a.py   # a comment
    X=. torchrun --nproc_per_node=2 tools/search.py --launcher \\
        pytorch CONFIG --seed N
    In `python tools/train.py configs/classification/toy.py`, unlike in `ean ticket`, an
    `ean COMMAND [--json]` or `python tools/ticket.py show|zoo`, there are arguments.
    """
    assert [arguments_of(line) for line in command_lines(text)] == [
        ("study", ["a.py"]),
        ("search", ["--launcher", "pytorch", "CONFIG", "--seed", "1"]),
        ("train", ["configs/classification/toy.py"]),
    ]
    assert {arguments_of(line)[0] for line in CASES} >= set(COMMANDS) - {"inspect", "fold"}


@pytest.mark.parametrize("line", CASES)
def test_the_command_takes_these_arguments(
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, arguments = arguments_of(line)
    assert command in COMMANDS, f"{line}\nnames no command, or one by its former name"
    monkeypatch.chdir(tmp_path)
    for word in arguments:  # a file to be written must be in a folder that exists
        if "/" in word and not word.startswith(("/", "-")):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
    try:
        command_parser(command, command).parse_args(arguments)
    except SystemExit as stop:
        assert not stop.code, f"{line}\n{capsys.readouterr().err}"
    assert not capsys.readouterr().err, f"{line}\nnames an option by its former spelling"
