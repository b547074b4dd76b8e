"""What a study shows and writes: tables at the terminal, strict JSON, metrics of every kind."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ean_transfer.cli.fold import report
from ean_transfer.study import run as study
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.result import Run, StudyResult, json_text
from ean_transfer.study.run import run_study
from ean_transfer.ticket import Ticket
from tests.helpers import ROOT

TICKET = Ticket.from_bits("10 01 00", "resnet14_cifar")


def refuse(constant: str) -> None:
    pytest.fail(f"{constant} is no JSON")


def test_labels_are_shown_as_they_are(
    run_tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = StudyPlan(
        tasks={"counting": Task("a.py", "MAE", "MAE [people] :heart:")}, ticket="x", arms=("none",)
    )
    result = StudyResult(
        plan, TICKET, {"counting": {"none": [Run(0, "", {"MAE": 3.0})]}}, {"none": 0}
    )
    monkeypatch.setattr(study, "run_study", lambda *_, **__: result)
    monkeypatch.setattr(report, "write_report", lambda *_, **__: tmp_path / "index.html")
    shown = run_tool("study", ROOT / "configs/study/toy.py", "--work-dir", tmp_path)
    assert shown.code == 0 and "MAE [people] :heart:" in " ".join(shown.out.split())


def test_numbers_that_json_lacks_are_text_that_is_read_back() -> None:
    data = {"a": [math.nan, 1.5, None], "b": ({"c": -math.inf}, 2, "x", True)}
    found = json.loads(json_text(data), parse_constant=refuse)
    assert found == {"a": ["nan", 1.5, None], "b": [{"c": "-inf"}, 2, "x", True]}
    assert math.isnan(float(found["a"][0])) and float(found["b"][0]["c"]) == -math.inf


def test_a_test_may_find_nan_and_what_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {
        "MAE": math.nan,
        "RMSE": np.float32(2.5),
        "NAE": torch.tensor(0.5),
        "of each class": [1.0, 2.0],
        "as a tensor": torch.ones(2),
        "name": "x",
        "missing": None,
    }
    runner = SimpleNamespace(test=lambda: metrics)
    monkeypatch.setattr(study, "train", lambda *_, **__: runner)
    monkeypatch.setattr(study, "draw_samples", lambda *_: None)
    monkeypatch.setattr(
        study, "training_cost", lambda _: SimpleNamespace(seconds=60.0, peak_memory=None)
    )
    plan = StudyPlan(
        tasks={"counting": Task(str(ROOT / "configs/crowd_counting/toy.py"), "MAE", "MAE")},
        ticket=str(TICKET.save(tmp_path / "given.json")),
        arms=("ticket",),
    )
    for _ in range(2):  # done, and read back
        result = run_study(plan, tmp_path / "study")
        (run,) = result.runs["counting"]["ticket"]
        assert set(run.metrics) == {"MAE", "RMSE", "NAE"}
        assert math.isnan(run.metrics["MAE"]) and run.metrics["RMSE"] == 2.5
        assert result.rows()[1][1] == "nan"
    for file in (tmp_path / "study").rglob("*.json"):
        json.loads(file.read_text(), parse_constant=refuse)
