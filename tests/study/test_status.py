"""The list of a study's searches and runs, with the time that they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.run import run_study
from ean_transfer.study.searches import search_folder
from ean_transfer.study.status import status, time_parts
from ean_transfer.ticket import Ticket
from tests.study.trainings import Stopped, Trainings


def test_times_of_searches_and_tasks(make_task, write_config, tmp_path: Path) -> None:
    search = write_config("classification/toy_search", search=dict(supernets=2))
    plan = StudyPlan(
        tasks={"classification": make_task("classification")},
        search=search,
        searches={"mine": search},
        arms=("none", "ticket"),
    )
    folder = tmp_path / "study"
    timed = time_parts(plan)
    assert list(timed) == ["search, ticket", "search, mine", "classification"]
    assert all(seconds > 0 for seconds in timed.values())

    search_folder(folder, "mine").mkdir(parents=True)
    states = status(plan, folder, timed)
    assert [one.state for one in states] == ["to do", "begun", *["to do"] * 3]
    assert states[0].cells[0] == "search, ticket"
    assert [one.expected for one in states] == [timed[one.part] for one in states]
    (search_folder(folder, "mine") / "ticket.json").write_text("{}")
    assert status(plan, folder)[1].state == "done"
    assert status(plan, folder)[0].expected is None


def test_runs_that_are_done_tell_more_than_timed_iterations(
    make_task, trainings: Trainings, tmp_path: Path
) -> None:
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar").save(tmp_path / "given.json")
    plan = StudyPlan(
        tasks={"classification": make_task("classification")}, ticket=str(ticket), seeds=(0, 1)
    )
    seconds = {0: 20.0, 1: 30.0}

    def train(job):
        if job.arm.kind == "full":
            raise Stopped
        return trainings(job) | {"train_seconds": seconds[job.train_seed]}

    with pytest.raises(Stopped):
        run_study(plan, tmp_path / "study", train_and_test=train)
    states = status(plan, tmp_path / "study", {"classification": 1_000.0})
    assert [one.state for one in states[:3]] == ["done", "begun", "to do"]
    assert states[0].cells[2] == "20 s" and states[1].cells[2] == "about 20 s"
