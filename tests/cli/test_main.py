"""The program ``ean`` and its table of contents; the scripts in ``tools``."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from ean_transfer.cli.main import COMMANDS, main
from tests.helpers import ROOT

TOOLS = {file.stem for file in (ROOT / "tools").glob("*.py")}
FORMER = {"asr": "tools/fold.py", "look": "tools/inspect.py", "compare": "tools/inspect.py compare"}


def test_help_is_the_table_of_contents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    contents = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", contents, re.M)
    assert max(map(len, contents.splitlines())) <= 100
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0 and capsys.readouterr().out == contents


def test_the_program_is_installed_under_its_name() -> None:
    (program,) = (e for e in entry_points(group="console_scripts") if e.name == "ean")
    assert program.load() is main


@pytest.mark.parametrize("typed", [["serch"], ["--serch"]], ids=str)
def test_an_unknown_command_is_one_line(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(typed)
    shown = capsys.readouterr().err
    assert leaving.value.code == 2 and shown.startswith("error: ") and shown.count("\n") == 1
    assert typed[0] in shown


def test_every_command_has_a_script_and_every_script_a_command() -> None:
    assert set(COMMANDS) | set(FORMER) == TOOLS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_script_is_the_command(
    run_tool, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script = run_tool(command, "--help")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    program = capsys.readouterr().out
    assert script.code == 0 and COMMANDS[command] in script.out
    words = [text.split() for text in (script.out, program)]
    script_words = " ".join(words[0]).replace(f"python tools/{command}.py", f"ean {command}")
    assert script_words == " ".join(words[1])


@pytest.mark.parametrize(("former", "now"), FORMER.items())
def test_former_scripts_say_their_new_name(run_tool, former: str, now: str) -> None:
    shown = run_tool(former, "--help")
    assert (shown.code, shown.err) == (0, f"tools/{former}.py is now {now}\n")
    assert f"usage: python {now.partition(' ')[0]}" in shown.out


def imported(*lines: str) -> set[str]:
    """Modules that a new Python process has imported after some lines of code."""
    code = "\n".join(("import sys", *lines, "print(*sys.modules, file=sys.stderr)"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


SLOW = {"torch", "numpy", "mmengine", "mmcv", "mmseg", "mmpretrain", "matplotlib", "rich", "cv2"}


def test_help_and_tickets_wait_for_no_library() -> None:
    loaded = imported(
        "from contextlib import suppress",
        "from ean_transfer.cli.main import COMMANDS, main",
        "main(['ticket', 'show', 'zoo:ean-sge-resnet50'])",
        "for name in COMMANDS:",
        "    with suppress(SystemExit):",
        "        main([name, '--help'])",
    )
    assert "ean_transfer.cli.ticket" in loaded and not loaded & SLOW


def test_only_the_chosen_command_is_imported() -> None:
    loaded = imported(
        "from ean_transfer.cli.main import main", "main(['ticket', 'show', 'zoo:ean-sge-resnet50'])"
    )
    commands = {name for name in COMMANDS if f"ean_transfer.cli.{name}" in loaded}
    assert commands == {"ticket"}


def test_the_script_inspect_does_not_hide_pythons_module_of_that_name() -> None:
    """Python puts a script's folder first in ``sys.path``, and ``inspect`` is a standard module."""
    done = subprocess.run(
        [sys.executable, "tools/ticket.py", "zoo"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = imported(
        "sys.path.insert(0, 'tools')",
        "import inspect, ean_transfer.cli.main",
        "assert inspect.signature(len) and sys.path[0] == 'tools'",
    )
    assert "inspect" in loaded
