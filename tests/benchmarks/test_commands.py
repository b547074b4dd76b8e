"""What the commands return and refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import commands, speed
from benchmarks.speed import ScoringTime
from benchmarks.tables import ScoreTable
from ean_transfer.errors import ConfigError, EANError
from tests.helpers import CONFIGS

SEARCH = dict(tables=None, strategies=None, seeds=1, budget=64, figure=None)
COST = dict(backbone=["resnet20_cifar"], attention=["SE"], image_size=32, out=None)
FOLDING = dict(
    backbone="resnet20_cifar", attention="SE:reduction=4", image_size=32, batch_size=2, rounds=2
)


def test_search_returns_the_comparison(table: ScoreTable, tmp_path: Path) -> None:
    table.save(tmp_path / "made_up.npz")
    own = dict(tables=[tmp_path / "made_up.npz"], strategies=["random", "surrogate"], seeds=2)
    data = commands.search(**SEARCH | own | dict(figure=tmp_path / "out.png"))
    assert len(data["contests"]) == 2 * 2  # cases with batch statistics, and strategies
    assert (tmp_path / "out.png").is_file()


@pytest.mark.parametrize(
    ("command", "options", "changes", "message"),
    [
        ("search", SEARCH, dict(strategies=["luck"]), "no strategy luck: there are surrogate"),
        ("search", SEARCH, dict(seeds=0), "seeds: .* 1, found 0"),
        ("search", SEARCH, dict(budget=63), "budget: .* 64, found 63"),
        ("cost", COST, dict(image_size=0), "image_size: .* 1, found 0"),
        ("folding", FOLDING, dict(image_size=0), "image_size: .* 1, found 0"),
        ("folding", FOLDING, dict(batch_size=0), "batch_size: .* 1, found 0"),
        ("folding", FOLDING, dict(rounds=1), "rounds: .* 2, found 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    command: str, options: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        getattr(commands, command)(**options | changes)


@pytest.mark.parametrize(
    "supernet",
    [[["p=0.8", "a.pth"], ["p=0.8", "b.pth"]], [["p=0.8"]]],
    ids=["a name twice", "a name without checkpoints"],
)
def test_supernets_are_given_once_per_name(truth_of, tmp_path: Path, supernet: list) -> None:
    truth = truth_of(np.zeros((64, 1))).save(tmp_path / "truth.json")
    config = CONFIGS / "classification/toy_supernet.py"
    with pytest.raises(ConfigError, match=r"--supernet: .* found p=0\.8"):
        commands.proxy(config, truth=truth, supernet=supernet)


@pytest.mark.parametrize(
    ("kills", "flipped", "failed"),
    [
        ({"exact": 3, "refused": 1}, {"refused": 5, "another id": 1}, None),
        ({"wrong": 1, "exact": 3}, {"refused": 1, "wrong": 2}, "outcomes that are wrong: 3,"),
        ({"refused": 2, "wrong after the remedy": 1}, {}, "outcomes that are wrong: 1,"),
    ],
)
def test_wrong_outcomes_of_faults_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, kills: dict, flipped: dict, failed: str | None
) -> None:
    results = {"kills": {"SIGKILL": kills}, "torn": {}, "flipped": {"ticket.json": flipped}}
    monkeypatch.setattr(commands, "try_faults", lambda **_: results)
    told = commands.faults(runs=["search"], kills=1, tears=1, flips=1, seed=0)
    assert told.get("failed", "").startswith(failed) if failed else told == results


def test_scores_that_differ_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    case = ScoringTime("toy", together=1.0, alone=2.0, ratio=2.0, equal=True)
    monkeypatch.setattr(speed, "scoring_times", lambda: [case])
    commands.scoring()
    monkeypatch.setattr(speed, "scoring_times", lambda: [case, replace(case, equal=False)])
    with pytest.raises(EANError, match="different counts"):
        commands.scoring()
