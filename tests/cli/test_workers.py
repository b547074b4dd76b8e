"""Studies and projects on several workers, and the list of a study's runs."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from ean_transfer.engine import workers
from ean_transfer.errors import ConfigError
from ean_transfer.study import run
from tests.helpers import ROOT

STUDY = ROOT / "configs/study/toy.py"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was asked for: the workers, then what the study was given."""
    seen: list[object] = []

    @contextmanager
    def open_workers(*chosen):
        seen.append(chosen)
        yield "workers"

    def run_study(plan, work_dir, *, workers, **_):
        seen.append(workers)
        raise ConfigError("stopped here")

    monkeypatch.setattr(workers, "open_workers", open_workers)
    monkeypatch.setattr(run, "run_study", run_study)
    return seen


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--workers", "2"], (2, None, None)),
        (["--scheduler", "tcp://x:1"], (None, "tcp://x:1", None)),
        (["--scheduler-file", "s.json"], (None, None, "s.json")),
    ],
)
@pytest.mark.parametrize("command", ["study", "run"])
def test_runs_are_given_to_the_workers(
    run_tool, asked, tmp_path: Path, command: str, options: list[str], chosen: tuple
) -> None:
    target, folder = STUDY, ["--work-dir", tmp_path / "work"]
    if command == "run":
        target, folder = tmp_path / "project", []
        target.mkdir()
        (target / "study.py").write_text(STUDY.read_text())
    outcome = run_tool(command, target, *folder, *options)
    assert (outcome.code, asked) == (2, [chosen, "workers"])
    assert "stopped here" in outcome.err


def test_a_study_lists_its_runs(run_tool, tmp_path: Path) -> None:
    outcome = run_tool("study", STUDY, "--work-dir", tmp_path, "--status")
    assert outcome.code == 0
    assert "counting, ticket, seed 0" in outcome.out and "0 of 10 done, 10 left" in outcome.out
    both = run_tool("study", STUDY, "--status", "--workers", "2")
    assert both.code == 2 and "not allowed with" in both.err
