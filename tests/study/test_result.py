"""Results of a study: strict JSON, metrics of every kind, and the table at the terminal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ean_transfer.io.tables import mean_and_spread, print_table
from ean_transfer.study.arms import Arm
from ean_transfer.study.jobs import numbers
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.result import Run, StudyResult, json_text
from ean_transfer.study.run import run_study
from ean_transfer.ticket import Ticket
from tests.study.trainings import Trainings

TICKET = Ticket.from_bits("10 01 00", "resnet14_cifar")


def refuse(constant: str) -> None:
    pytest.fail(f"{constant} is no JSON")


def test_labels_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task(config="a.py", metric="MAE", label="MAE [people] :heart:")
    plan = StudyPlan(tasks={"counting": task}, ticket="x", arms=("none",))
    none = Arm("none")
    runs = {"counting": {none: [Run(0, "", {"MAE": 3.0})]}}
    print_table(StudyResult(plan, TICKET, runs, {none: 0}).rows(), "A study")
    assert "MAE [people] :heart:" in " ".join(capsys.readouterr().out.split())


def test_numbers_that_json_lacks_are_text_that_is_read_back() -> None:
    data = {"a": [math.nan, 1.5, None], "b": ({"c": -math.inf}, 2, "x", True)}
    written = json.loads(json_text(data), parse_constant=refuse)
    assert written == {"a": ["nan", 1.5, None], "b": [{"c": "-inf"}, 2, "x", True]}
    assert math.isnan(float(written["a"][0])) and float(written["b"][0]["c"]) == -math.inf


def test_a_metric_that_is_not_a_number_is_shown_as_such() -> None:
    assert mean_and_spread([float("nan"), 3.0]) == "nan ± nan"
    assert mean_and_spread([None, 3.0]) == "3.00" and mean_and_spread([None]) == "-"
    assert mean_and_spread([1.0, 3.0]) == "2.00 ± 1.41"


def test_what_a_training_took_is_in_minutes_and_megabytes() -> None:
    took = Run(0, "", {}, 90.0, 1_500_000).numbers
    assert took == {"training (min)": 1.5, "peak memory (MB)": 1.5}


def test_single_numbers_of_a_test_are_kept() -> None:
    metrics = {
        "MAE": math.nan,
        "RMSE": np.float32(2.5),
        "NAE": torch.tensor(0.5),
        "of each class": [1.0, 2.0],
        "as a tensor": torch.ones(2),
        "name": "x",
        "missing": None,
    }
    kept = numbers(metrics)
    assert set(kept) == {"MAE", "RMSE", "NAE"} and math.isnan(kept["MAE"])
    assert type(kept["RMSE"]) is float and kept["RMSE"] == 2.5


def test_a_test_may_give_nan(make_task, trainings: Trainings, tmp_path: Path) -> None:
    plan = StudyPlan(
        tasks={"counting": make_task("crowd_counting")},
        ticket=str(TICKET.save(tmp_path / "given.json")),
        arms=("ticket",),
    )
    trainings.metrics = lambda job: {"MAE": math.nan}
    for _ in range(2):  # done, and read back
        result = run_study(plan, tmp_path / "study", train_and_test=trainings)
        (run,) = result.runs["counting"][Arm("ticket")]
        assert math.isnan(run.metrics["MAE"])
        assert result.rows()[1][1] == "nan"
    assert len(trainings.jobs) == 1
    for file in (tmp_path / "study").rglob("*.json"):
        json.loads(file.read_text(), parse_constant=refuse)
