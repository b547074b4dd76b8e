"""docs/own_network.ipynb: its cells run from a fresh start, and give what their text promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from ean_transfer import Ticket
from tests.helpers import ROOT

NOTEBOOK = ROOT / "docs" / "own_network.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names: dict[str, Any] = {}
    for number, cell in enumerate(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)

    ticket = names["result"].ticket
    assert Ticket.load(tmp_path / "ticket.json").id == ticket.id == names["model"].ticket.id
    assert ticket.backbone.name == "resnet18" and ticket.attention == "SE"
    full = names["result"].supernet.attention
    built = sum(p.numel() for p in names["model"].attention.parameters())
    assert built <= 0.5 * sum(p.numel() for p in full.parameters())
    assert (tmp_path / "search.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert str(ticket) in printed and f"attention in {ticket.connected} blocks" in printed
