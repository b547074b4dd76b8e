"""``benchmark`` as its user meets it; what it measures: tests/benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

from ean_transfer.cli import benchmark
from ean_transfer.cli.main import run_command
from ean_transfer.errors import ConfigError


def test_json_is_alone_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def search(**options: Any) -> dict[str, Any]:
        print("a table")
        return {"seeds": options["seeds"]}

    monkeypatch.setattr(benchmark, "_benchmarks", lambda: SimpleNamespace(search=search))
    out = tmp_path / "s.json"
    assert run_command("benchmark", ["search", "--seeds", "3", "--json", "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(out.read_text()) == {"seeds": 3}
    assert shown.err == "a table\n"
    assert run_command("benchmark", ["search"]) == 0
    assert capsys.readouterr().out == "a table\n"


def test_a_check_that_failed_ends_the_command_with_its_line_behind_the_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {"seed": 0, "failed": "2 outcomes are wrong"}
    monkeypatch.setattr(
        benchmark, "_benchmarks", lambda: SimpleNamespace(faults=lambda **_: results)
    )
    out = tmp_path / "faults.json"
    with pytest.raises(SystemExit) as ended:
        run_command("benchmark", ["faults", "--out", str(out)])
    assert ended.value.code == 2
    assert json.loads(out.read_text()) == results
    assert "2 outcomes are wrong" in capsys.readouterr().err


def test_an_installed_package_says_where_the_benchmarks_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "site-packages" / "ean_transfer" / "__init__.py"
    monkeypatch.setattr(benchmark.ean_transfer, "__file__", str(installed))
    with pytest.raises(ConfigError, match="repository"):
        benchmark._benchmarks()


@pytest.mark.parametrize(
    "typed",
    [
        "search",
        "table c --supernet s.pth --out t.npz",
        "truth c --work-dir w",
        "proxy c --truth t.json --supernet a a.pth --supernet b b.pth",
        "scoring",
        "density",
        "counting c --study s --out-dir o",
        "cost --backbone resnet50 --attention SE",
        "folding",
    ],
)
def test_every_command_calls_its_benchmark_with_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("c", "s.pth", "a.pth", "b.pth", "t.json"):
        Path(name).touch()
    fake = create_autospec(benchmark._benchmarks())  # refuses other arguments than the functions
    monkeypatch.setattr(benchmark, "_benchmarks", lambda: fake)
    assert run_command("benchmark", typed.split()) == 0
    assert getattr(fake, typed.split()[0]).call_count == 1
