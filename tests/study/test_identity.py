"""A study goes on only with what it began itself: the same config, ticket, seed and start."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from ean_transfer.errors import ConfigError
from ean_transfer.study import run as study
from ean_transfer.study.identity import config_digest
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.run import run_study
from ean_transfer.ticket import Ticket
from tests.helpers import ROOT

TICKET = Ticket.from_bits("10 01 00", "resnet14_cifar")
CLASSES = Task(str(ROOT / "configs/classification/toy.py"), "accuracy/top1", "accuracy")
MASKS = Task(str(ROOT / "configs/segmentation/toy.py"), "mIoU", "mIoU", starts_from="classes")
LEARNING_RATE = "optim_wrapper.optimizer.lr"


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    ticket = str(TICKET.save(tmp_path / "given.json"))
    return StudyPlan(tasks={"classes": CLASSES}, ticket=ticket, arms=("ticket",), seeds=(0, 1))


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Changes of every config that a study loads, as if its file was edited."""
    load, changes = study.load_config, {}
    monkeypatch.setattr(
        study, "load_config", lambda path, given=None: load(path, changes | (given or {}))
    )
    return changes


class Stopped(Exception):
    pass


class Trainings:
    """Stand-ins for trainings: they leave a checkpoint, and are killed then while ``kill``."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.kill = False

    def __call__(self, cfg: Config, folder: Path, weights: str | None, seed: int) -> dict:
        self.done.append("/".join(folder.parts[-3:]))
        (folder / "last_checkpoint").write_text("epoch_1.pth")
        if self.kill:
            raise Stopped
        return {"metrics": {"accuracy/top1": 50.0, "mIoU": 20.0}}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    stand_in = Trainings()
    monkeypatch.setattr(study, "_train_and_test", stand_in)
    return stand_in


def begin(plan: StudyPlan, folder: Path, trainings: Trainings, *, finish: bool) -> None:
    trainings.kill = not finish
    if finish:
        run_study(plan, folder)
    else:
        with pytest.raises(Stopped):
            run_study(plan, folder)
    trainings.kill = False
    trainings.done.clear()


@pytest.mark.parametrize("finish", [True, False])
def test_what_another_config_began_is_refused(
    plan: StudyPlan, options: dict, trainings: Trainings, tmp_path: Path, finish: bool
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=finish)
    options[LEARNING_RATE] = 0.0
    with pytest.raises(ConfigError, match="seed0: was done with another config, .* or remove"):
        run_study(plan, tmp_path / "study")
    options.clear()
    shutil.rmtree(tmp_path / "study" / "classes" / "ticket" / "seed1", ignore_errors=True)
    run_study(plan, tmp_path / "study")
    seeds = [1] if finish else [0, 1]  # one that was not finished is gone on with
    assert trainings.done == [f"classes/ticket/seed{seed}" for seed in seeds]


@pytest.mark.parametrize("finish", [True, False])
def test_what_another_ticket_began_is_refused(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path, finish: bool
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=finish)
    other = TICKET.complement().save(tmp_path / "other.json")
    with pytest.raises(
        ConfigError, match=r"seed0: was done with another ticket \(ticket_id \w+, the"
    ):
        run_study(replace(plan, ticket=str(other)), tmp_path / "study")
    assert trainings.done == []


ONCE = {"classes": replace(CLASSES, once=True), "masks": MASKS}
FRESH = replace(MASKS, starts_from=None)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"tasks": {"classes": CLASSES, "masks": FRESH}}),
        ({}, {"tasks": {"classes": CLASSES, "masks": replace(FRESH, weights="w.pth")}}),
        ({"tasks": ONCE}, {}),  # seed 1 started from seed 0
        ({"tasks": ONCE}, {"tasks": ONCE, "seeds": (1, 0, 2)}),
    ],
    ids=["fresh weights", "other weights", "once no more", "once with another seed"],
)
def test_runs_that_started_from_elsewhere_are_refused_before_any_training(
    plan: StudyPlan,
    trainings: Trainings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: dict,
    then: dict,
) -> None:
    monkeypatch.setattr(study, "last_checkpoint", str)
    plan = replace(plan, tasks={"classes": CLASSES, "masks": MASKS})
    begin(replace(plan, **first), tmp_path / "study", trainings, finish=True)
    with pytest.raises(ConfigError, match=r"masks.ticket.seed\d: was done with another config, at"):
        run_study(replace(plan, **then), tmp_path / "study")
    assert trainings.done == []
    run_study(replace(plan, **first), tmp_path / "study")
    assert trainings.done == []


def test_a_run_that_left_no_checkpoint_binds_nobody(
    plan: StudyPlan, options: dict, trainings: Trainings, tmp_path: Path
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=False)
    (tmp_path / "study" / "classes" / "ticket" / "seed0" / "last_checkpoint").unlink()
    options[LEARNING_RATE] = 0.5
    run_study(plan, tmp_path / "study")
    assert len(trainings.done) == 2


def test_finished_runs_tell_what_they_are_and_others_of_unknown_origin_are_refused(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=True)
    run = tmp_path / "study" / "classes" / "ticket" / "seed0"
    (run / "run.json").unlink()
    run_study(plan, tmp_path / "study")
    assert trainings.done == []

    done = json.loads((run / "metrics.json").read_text())
    del done["config_digest"]
    (run / "metrics.json").write_text(json.dumps(done))
    with pytest.raises(ConfigError, match="config_digest unknown"):
        run_study(plan, tmp_path / "study")
    (run / "metrics.json").unlink()  # its checkpoint is left
    with pytest.raises(ConfigError, match="ticket_id unknown"):
        run_study(plan, tmp_path / "study")


def test_digests_of_results_on_disk_stay_valid() -> None:
    cfg = Config({"a": 1, "b": {"c": "x"}})
    assert config_digest(cfg, seed=0) == "700ef104181b"
    other = config_digest(cfg, seed=3, attention='{"type": "SE"}', weights="w/{seed}.pth")
    assert other == "086a2c0a8663"
    assert config_digest(cfg, seed=0, start=other) not in ("700ef104181b", other)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The seeds of stand-ins for searches: the first is killed after its supernet."""
    seeds: list[int | None] = []

    def stand_in(cfg: Config, folder: Path, *, seed: int | None, **_: Any) -> Ticket:
        seeds.append(seed)
        (folder / "supernet").mkdir(exist_ok=True)
        (folder / "supernet" / "last_checkpoint").write_text("epoch_1.pth")
        if len(seeds) == 1:
            raise Stopped
        TICKET.save(folder / "ticket.json")
        return TICKET

    monkeypatch.setattr(study, "run_search", stand_in)
    return seeds


@pytest.mark.parametrize("finish", [True, False])
def test_another_search_is_refused(
    plan: StudyPlan,
    options: dict,
    trainings: Trainings,
    searches: list,
    tmp_path: Path,
    finish: bool,
) -> None:
    config = str(ROOT / "configs/classification/toy_search.py")
    plan, folder = replace(plan, ticket=None, search=config), tmp_path / "study"
    with pytest.raises(Stopped):
        run_study(plan, folder, search_seed=3)
    if finish:
        run_study(plan, folder, search_seed=3)
        run_study(plan, folder, search_seed=3)  # takes the ticket
    assert searches == [3] * (1 + finish)
    with pytest.raises(ConfigError, match="search: was done with another seed .seed 3, the study"):
        run_study(plan, folder, search_seed=4)
    options[LEARNING_RATE] = 0.5
    with pytest.raises(ConfigError, match="search: was done with another config"):
        run_study(plan, folder, search_seed=3)
    (folder / "search" / "run.json").unlink()
    with pytest.raises(ConfigError, match="seed unknown"):
        run_study(plan, folder, search_seed=3)
    assert searches == [3] * (1 + finish)
