"""``benchmark`` as its user meets it; what it measures: tests/benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


def test_an_installed_package_says_where_the_benchmarks_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "site-packages" / "ean_transfer" / "__init__.py"
    monkeypatch.setattr(benchmark.ean_transfer, "__file__", str(installed))
    with pytest.raises(ConfigError, match="repository"):
        benchmark._benchmarks()
