"""A study continues only what it began itself: the same config, ticket, seed and start."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from ean_transfer.errors import ConfigError
from ean_transfer.study import searches as study_searches
from ean_transfer.study.identity import config_digest
from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.run import run_study
from ean_transfer.ticket import Ticket, TicketError
from tests.study.trainings import Stopped, Trainings, changed

TICKET = Ticket.from_bits("10 01 00", "resnet14_cifar")
EDIT = {"optim_wrapper.optimizer.lr": 0.5}


@pytest.fixture
def plan(make_task, tmp_path: Path) -> StudyPlan:
    ticket = str(TICKET.save(tmp_path / "given.json"))
    tasks = {"classes": make_task("classification")}
    return StudyPlan(tasks=tasks, ticket=ticket, arms=("ticket",), seeds=(0, 1))


def begin(plan: StudyPlan, folder: Path, trainings: Trainings, *, finish: bool) -> None:
    trainings.kill = not finish
    if finish:
        run_study(plan, folder, train_and_test=trainings)
    else:
        with pytest.raises(Stopped):
            run_study(plan, folder, train_and_test=trainings)
    trainings.kill = False
    trainings.jobs.clear()


@pytest.mark.parametrize("finish", [True, False])
def test_what_another_config_began_is_refused(
    plan: StudyPlan, write_config, trainings: Trainings, tmp_path: Path, finish: bool
) -> None:
    folder = tmp_path / "study"
    begin(plan, folder, trainings, finish=finish)
    write_config("classification/toy", **EDIT)
    with pytest.raises(ConfigError, match="seed0: was done with another config, .* or remove"):
        run_study(plan, folder, train_and_test=trainings)
    write_config("classification/toy")
    shutil.rmtree(folder / "classes" / "ticket" / "seed1", ignore_errors=True)
    run_study(plan, folder, train_and_test=trainings)
    seeds = [1] if finish else [0, 1]  # one that was not finished is continued
    assert trainings.done == [f"classes/ticket/seed{seed}" for seed in seeds]


@pytest.mark.parametrize("finish", [True, False])
def test_what_another_ticket_began_is_refused(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path, finish: bool
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=finish)
    other = changed(plan, ticket=str(TICKET.complement().save(tmp_path / "other.json")))
    with pytest.raises(ConfigError, match=r"seed0: was done with another ticket \(ticket_id \w+,"):
        run_study(other, tmp_path / "study", train_and_test=trainings)
    assert trainings.done == []


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({}, {"fresh": True}),
        ({}, {"fresh": True, "weights": "w.pth"}),
        ({"once": True}, {}),  # seed 1 started from seed 0
        ({"once": True}, {"once": True, "seeds": (1, 0, 2)}),
    ],
    ids=["fresh weights", "other weights", "once no more", "once with another seed"],
)
def test_runs_that_started_from_elsewhere_are_refused_before_any_training(
    plan: StudyPlan, make_task, trainings: Trainings, tmp_path: Path, first: dict, then: dict
) -> None:
    def variant(
        once: bool = False,
        fresh: bool = False,
        weights: str | None = None,
        seeds: tuple[int, ...] = (0, 1),
    ) -> StudyPlan:
        start = None if fresh else "classes"
        masks = make_task("segmentation", starts_from=start, weights=weights)
        tasks = {"classes": make_task("classification", once=once), "masks": masks}
        return changed(plan, tasks=tasks, seeds=seeds)

    begin(variant(**first), tmp_path / "study", trainings, finish=True)
    with pytest.raises(ConfigError, match=r"masks.ticket.seed\d: was done with another config, at"):
        run_study(variant(**then), tmp_path / "study", train_and_test=trainings)
    run_study(variant(**first), tmp_path / "study", train_and_test=trainings)
    assert trainings.done == []


def test_where_nothing_was_written_any_run_may_start(
    plan: StudyPlan, write_config, trainings: Trainings, tmp_path: Path
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=False)
    (tmp_path / "study" / "classes" / "ticket" / "seed0" / "last_checkpoint").unlink()
    write_config("classification/toy", **EDIT)
    run_study(plan, tmp_path / "study", train_and_test=trainings)
    assert len(trainings.done) == 2


def test_finished_runs_tell_what_they_are_and_others_of_unknown_origin_are_refused(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    begin(plan, folder, trainings, finish=True)
    run = folder / "classes" / "ticket" / "seed0"
    (run / "run.json").unlink()
    run_study(plan, folder, train_and_test=trainings)
    assert trainings.done == []

    done = json.loads((run / "metrics.json").read_text())
    del done["config_digest"], done["sha256"]  # as they were written before
    (run / "metrics.json").write_text(json.dumps(done))
    with pytest.raises(ConfigError, match="config_digest unknown"):
        run_study(plan, folder)
    (run / "metrics.json").unlink()  # its checkpoint is left
    with pytest.raises(ConfigError, match="ticket_id unknown"):
        run_study(plan, folder)


def test_digests_of_results_on_disk_stay_valid() -> None:
    cfg = Config({"a": 1, "b": {"c": "x"}})
    assert config_digest(cfg, seed=0) == "700ef104181b"
    other = config_digest(cfg, seed=3, attention={"type": "SE"}, weights="w/{seed}.pth")
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

    monkeypatch.setattr(study_searches, "run_search", stand_in)
    return seeds


@pytest.mark.parametrize("finish", [True, False])
def test_another_search_is_refused(
    plan: StudyPlan,
    write_config,
    trainings: Trainings,
    searches: list,
    tmp_path: Path,
    finish: bool,
) -> None:
    folder = tmp_path / "study"
    plan = changed(plan, ticket=None, search=write_config("classification/toy_search"))

    def run(seed: int) -> None:
        run_study(plan, folder, search_seed=seed, train_and_test=trainings)

    with pytest.raises(Stopped):
        run(3)
    if finish:
        run(3)
        run(3)  # takes the ticket
    assert searches == [3] * (1 + finish)
    with pytest.raises(ConfigError, match="search: was done with another seed .seed 3, the study"):
        run(4)
    write_config("classification/toy_search", **EDIT)
    with pytest.raises(ConfigError, match="search: was done with another config"):
        run(3)
    (folder / "search" / "run.json").unlink()
    with pytest.raises(ConfigError, match="seed unknown"):
        run(3)
    assert searches == [3] * (1 + finish)


@pytest.mark.parametrize("cut", [lambda text: "", lambda text: text[:40], lambda text: text[:-2]])
def test_torn_metrics_are_refused_before_any_training_and_only_tested_again(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path, cut: Any
) -> None:
    folder = tmp_path / "study"
    begin(plan, folder, trainings, finish=True)
    expected = (folder / "results.json").read_text()
    shutil.rmtree(folder / "classes/ticket/seed0")
    torn = folder / "classes/ticket/seed1/metrics.json"
    torn.write_text(cut(torn.read_text()))
    with pytest.raises(ConfigError, match="seed1/metrics.json: .*: delete it, and only the run's"):
        run_study(plan, folder, train_and_test=trainings)
    assert trainings.done == []
    torn.unlink()
    run_study(plan, folder, train_and_test=trainings)
    assert (
        json.loads((folder / "results.json").read_text())["metrics"]
        == (json.loads(expected)["metrics"])
    )


def test_a_digit_of_the_metrics_that_changed_is_refused(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=True)
    file = tmp_path / "study/classes/ticket/seed1/metrics.json"
    file.write_text(file.read_text().replace("51.0", "91.0"))
    with pytest.raises(ConfigError, match="metrics.json: .* was changed"):
        run_study(plan, tmp_path / "study", train_and_test=trainings)


@pytest.mark.parametrize("finish", [True, False])
def test_a_torn_run_json_loses_nothing(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path, finish: bool
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=finish)
    file = tmp_path / "study/classes/ticket/seed0/run.json"
    file.write_text(file.read_text()[:20])
    with pytest.raises(ConfigError, match="seed0/run.json: expected .* torn") as refused:
        run_study(plan, tmp_path / "study", train_and_test=trainings)
    message = str(refused.value)
    if finish:
        assert "delete it, metrics.json says the same" in message
        file.unlink()
    else:  # what to write into it is in the message
        file.write_text(message[message.index("write {") + 6 : message.index(" into it")])
    run_study(plan, tmp_path / "study", train_and_test=trainings)


def test_a_checkpoint_without_last_checkpoint_belongs_to_a_run_as_well(
    plan: StudyPlan, write_config, trainings: Trainings, tmp_path: Path
) -> None:
    begin(plan, tmp_path / "study", trainings, finish=False)
    (tmp_path / "study/classes/ticket/seed0/last_checkpoint").rename(
        tmp_path / "study/classes/ticket/seed0/epoch_1.pth"
    )
    write_config("classification/toy", **EDIT)
    with pytest.raises(ConfigError, match="was done with another config"):
        run_study(plan, tmp_path / "study", train_and_test=trainings)


def test_a_torn_ticket_of_a_finished_search_is_written_again(
    plan: StudyPlan, write_config, trainings: Trainings, searches: list, tmp_path: Path
) -> None:
    searches.append(None)  # so that none is killed
    folder = tmp_path / "study"
    plan = changed(plan, ticket=None, search=write_config("classification/toy_search"))
    run_study(plan, folder, train_and_test=trainings)
    torn = folder / "search/ticket.json"
    torn.write_text(torn.read_text()[:50])
    with pytest.raises(TicketError, match="search/ticket.json: .*; delete it, and the search"):
        run_study(plan, folder, train_and_test=trainings)
    torn.unlink()
    assert str(run_study(plan, folder, train_and_test=trainings).ticket) == str(TICKET)
