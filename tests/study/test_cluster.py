"""A study's runs on several workers: order, failures, lost workers, and the same table."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ean_transfer.engine.workers import Workers, open_workers
from ean_transfer.errors import ConfigError, TrainingError
from ean_transfer.io.files import locked
from ean_transfer.study import cluster, searches
from ean_transfer.study.apart import FAILURE, LOG, call_apart
from ean_transfer.study.identity import RESULTS
from ean_transfer.study.jobs import finish, finish_job
from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.run import run_study
from ean_transfer.study.searches import find_ticket, make_searches
from ean_transfer.study.status import status
from ean_transfer.ticket import Ticket
from tests.study.trainings import Stopped, Trainings, changed

distributed = pytest.importorskip("distributed")


@pytest.fixture
def plan(make_task, tmp_path: Path) -> StudyPlan:
    """Two tasks, of which the second one starts from the first one's networks."""
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar").save(tmp_path / "given.json")
    return StudyPlan(
        tasks={
            "classification": make_task("classification"),
            "counting": make_task("crowd_counting", starts_from="classification"),
        },
        ticket=str(ticket),
        image_size=24,
        batch_size=2,
    )


@pytest.fixture
def failing() -> set[str]:
    """Labels of the runs that fail."""
    return set()


@pytest.fixture
def workers(
    trainings: Trainings, failing: set[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workers]:
    """Two workers in this process, whose trainings are stand-ins."""

    def call(function: Any, work: Any, folder: Path, threads: Any, gpu: Any) -> str | None:
        if work.label in failing:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FAILURE).write_text("CUDA out of memory\n...")
            return "CUDA out of memory"
        if function is finish_job:
            finish(work, trainings)
        else:
            function(work)
        return None

    monkeypatch.setattr(cluster, "call_apart", call)
    with distributed.Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as client:
        yield Workers(client)


def test_a_run_waits_for_the_one_that_it_starts_from(plan, workers, trainings, tmp_path) -> None:
    result = run_study(plan, tmp_path / "study", workers=workers)
    assert len(result.rows()) == 1 + 3
    done = trainings.done
    assert len(done) == 6
    for arm in ("none", "full", "ticket"):
        started, after = (done.index(f"{t}/{arm}/seed0") for t in ("classification", "counting"))
        assert started < after
    run_study(plan, tmp_path / "study", workers=workers)
    assert len(trainings.done) == 6  # nothing is done twice


def test_no_run_is_left_behind_a_busy_worker(
    plan, workers, trainings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    others = threading.Event()

    def call(function: Any, job: Any, *_: Any) -> None:
        if job.label == "classification, none, seed 0":
            assert others.wait(30)
        finish(job, trainings)
        if len(trainings.done) == 4:
            others.set()

    monkeypatch.setattr(cluster, "call_apart", call)
    run_study(plan, tmp_path / "study", workers=workers)
    assert trainings.done[4:] == ["classification/none/seed0", "counting/none/seed0"]


def test_arms_with_one_mask_are_one_training(plan, workers, trainings, tmp_path, capsys) -> None:
    plan = changed(plan, arms=("none", "ticket"), tickets={"mine": plan.ticket})
    result = run_study(plan, tmp_path / "study", workers=workers)
    assert len(trainings.done) == 4 and not any("mine" in name for name in trainings.done)
    assert "[4/4]" in capsys.readouterr().out
    none, ticket, mine = result.runs["counting"].values()
    assert mine == ticket != none


def test_a_failed_run_stops_only_those_that_start_from_it(
    plan, workers, failing, trainings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing.add("classification, full, seed 0")
    with pytest.raises(TrainingError, match="2 of 6 failed.*CUDA out of memory"):
        run_study(plan, tmp_path / "study", workers=workers)
    assert len(trainings.done) == 4
    assert "[6/6]" in capsys.readouterr().out
    failing.clear()
    assert run_study(plan, tmp_path / "study", workers=workers).rows()
    assert len(trainings.done) == 6


def test_searches_are_done_at_the_same_time(
    plan, workers, failing, write_config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configs = {
        "ticket": write_config("classification/toy_search"),
        "searched_on_target": write_config("crowd_counting/toy_search"),
    }
    plan = changed(
        plan,
        ticket=None,
        search=configs["ticket"],
        searches={"searched_on_target": configs["searched_on_target"]},
    )
    both, found = threading.Barrier(2), []

    def search(cfg: Any, folder: Path, **_: Any) -> Ticket:
        both.wait(30)
        found.append(folder.name)
        bits = "10 01 00" if folder.name == "search" else "00 00 11"
        ticket = Ticket.from_bits(bits, "resnet14_cifar")
        ticket.save(folder / "ticket.json")
        return ticket

    monkeypatch.setattr(searches, "run_search", search)
    folder = tmp_path / "study"
    result = run_study(plan, folder, workers=workers)
    assert sorted(found) == ["search", "search_searched_on_target"]
    assert [row[0] for row in result.rows()[3:]] == [
        "ticket (10 01 00)",
        "searched_on_target (00 00 11)",
    ]

    failing.add("search, searched_on_target")
    (folder / "search_searched_on_target/ticket.json").unlink()
    with pytest.raises(TrainingError, match="1 of 2 failed.*searched_on_target.*CUDA out of"):
        run_study(plan, folder, workers=workers)
    assert [one.state for one in status(plan, folder)][:2] == ["done", "failed"]


@pytest.mark.parametrize(
    ("outcome", "said"),
    [(None, "another place"), (PermissionError("no access"), "PermissionError: no access")],
)
def test_what_went_wrong_on_a_worker_is_named(
    plan, workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outcome, said: str
) -> None:
    def call(*_: Any) -> None:  # without results where the study looks for them
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(cluster, "call_apart", call)
    with pytest.raises(TrainingError, match=f"6 of 6 failed.*none, seed 0: .*{said}"):
        run_study(plan, tmp_path / "study", workers=workers)


def test_a_worker_that_joins_later_gets_a_run(
    trainings: Trainings, plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = threading.Barrier(2)

    def call(function: Any, job: Any, *_: Any) -> None:
        if job.task == "classification" and job.arm.kind != "ticket":
            if not both.n_waiting:
                cluster_.scale(2)
            both.wait(30)
        finish(job, trainings)

    monkeypatch.setattr(cluster, "call_apart", call)
    with (
        distributed.LocalCluster(
            processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster_,
        distributed.Client(cluster_) as client,
    ):
        run_study(plan, tmp_path / "study", workers=Workers(client))
    assert len(trainings.done) == 6


def test_the_state_of_each_run(plan, workers, failing, trainings, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert {one.state for one in status(plan, folder)} == {"to do"}
    failing.add("classification, full, seed 0")
    with pytest.raises(TrainingError):
        run_study(plan, folder, workers=workers)
    states = {one.label: one for one in status(plan, folder)}
    assert states["classification, none, seed 0"].state == "done"
    assert states["classification, full, seed 0"].cells == (
        *("classification, full, seed 0", "failed", "", "CUDA out of memory"),
    )
    assert states["counting, full, seed 0"].state == "to do"
    trainings.kill = True
    with pytest.raises(Stopped):  # begun again, in this process
        run_study(plan, folder, train_and_test=trainings)
    states = {one.label: one for one in status(plan, folder)}
    assert states["classification, full, seed 0"].state == "begun"


def test_two_studies_in_one_folder_keep_out_of_each_others_way(
    plan, trainings, tmp_path: Path
) -> None:
    message = "another process works in this folder"
    with locked(tmp_path / "study", wait=False), pytest.raises(ConfigError, match=message):
        run_study(plan, tmp_path / "study", train_and_test=trainings)
    assert run_study(plan, tmp_path / "study", train_and_test=trainings)


def test_a_scheduler_that_is_not_there_is_named() -> None:
    address = "tcp://127.0.0.1:1"
    message = f"{address}: expected a Dask scheduler"
    with pytest.raises(ConfigError, match=message), open_workers(None, address, timeout=1):
        pass


# -- processes of their own ------------------------------------------------------------------------


def _prints_threads(folder: Path) -> None:
    print(f"threads {torch.get_num_threads()}")
    (folder / "done").touch()


def _fails(folder: Path) -> None:
    print("before")
    raise ConfigError("expected more")


def _fails_at_a_file_of_another_encoding(folder: Path) -> None:
    raise ConfigError("caf\udce9.jpg: expected an image,\nfound none")


def _dies(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _sleeps(folder: Path) -> None:
    with locked(folder, wait=False):
        (folder / "begun").touch()
        time.sleep(600)


@pytest.mark.slow
def test_a_process_of_its_own_says_how_it_ended(tmp_path: Path) -> None:
    assert call_apart(_prints_threads, tmp_path, tmp_path, 3, None) is None
    assert (tmp_path / "done").exists() and "threads 3" in (tmp_path / LOG).read_text()
    assert call_apart(_fails, tmp_path, tmp_path, None, None) == "expected more"
    failure = (tmp_path / FAILURE).read_text()
    assert failure.startswith("expected more\n") and "Traceback" in failure
    strange = call_apart(_fails_at_a_file_of_another_encoding, tmp_path, tmp_path, None, None)
    assert strange == "caf\\udce9.jpg: expected an image, found none"
    assert (tmp_path / FAILURE).read_text(encoding="utf-8").splitlines()[0] == strange
    assert "SIGKILL" in str(call_apart(_dies, tmp_path, tmp_path, None, None))


@pytest.mark.slow
def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    parent = multiprocessing.get_context("spawn").Process(
        target=call_apart, args=(_sleeps, tmp_path, tmp_path, None, None)
    )
    parent.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.1)
    parent.kill()
    start = time.monotonic()
    with locked(tmp_path, wait=True):  # which the child had
        assert time.monotonic() - start < 60


@pytest.mark.slow
def test_two_workers_give_the_table_of_one_process_also_when_one_is_killed(
    plan, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = run_study(plan, tmp_path / "one").to_dict()["runs"]
    torch.set_num_threads(before)
    with open_workers(2) as workers:
        workers = replace(workers, threads=1)
        killer = threading.Thread(target=_kill_a_worker, args=[workers.client, tmp_path / "two"])
        killer.start()
        result = run_study(plan, tmp_path / "two", workers=workers).to_dict()["runs"]
    killer.join()
    for task, arms in expected.items():
        for arm, runs in arms.items():
            metrics = [run["metrics"] for run in result[task][arm]]
            assert metrics == [run["metrics"] for run in runs]


@pytest.mark.slow
def test_a_search_on_a_worker_finds_the_ticket_of_one_process(
    make_task, write_config, tmp_path: Path
) -> None:
    config = write_config("classification/toy_search", **{"search.steps": 2, "search.supernets": 1})
    plan = StudyPlan(
        tasks={"classification": make_task("classification")}, search=config, arms=("ticket",)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    (search,) = make_searches(plan, tmp_path / "one")
    expected = find_ticket(search)
    torch.set_num_threads(before)
    with open_workers(1) as workers:
        result = run_study(plan, tmp_path / "two", workers=replace(workers, threads=1, cores=None))
    assert result.ticket.mask == expected.mask
    here, there = (tmp_path / name / "search/trace.jsonl" for name in ("one", "two"))
    assert here.read_text() == there.read_text()
    assert (tmp_path / "two/search" / LOG).exists()


def _kill_a_worker(client: Any, folder: Path) -> None:
    """Kill one of the workers once a training writes its log."""
    while not list(folder.rglob(LOG)):
        time.sleep(0.1)
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)


# -- what happens when the scheduler or the study itself is killed ---------------------------------


def _run_study(plan: StudyPlan, folder: Path, address: str | None, workers: int | None) -> None:
    try:
        with open_workers(workers, address) as opened:
            run_study(plan, folder, workers=replace(opened, threads=1))
    except TrainingError as error:
        sys.exit(f"error: {error}")


@pytest.fixture
def start_study(plan: StudyPlan, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts the study in a process of its own: ``start_study(address, workers)``."""
    started = []

    def start(address: str | None = None, workers: int | None = None) -> Any:
        arguments = plan, tmp_path / "study", address, workers
        # No daemon, since it starts processes itself.
        process = multiprocessing.get_context("spawn").Process(target=_run_study, args=arguments)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


def _wait_for_results(folder: Path, number: int) -> dict[Path, float]:
    """Files of that many finished runs or more, and when each was written."""
    while len(files := sorted(folder.rglob(RESULTS))) < number:
        time.sleep(0.1)
    return {file: file.stat().st_mtime for file in files}


def _finish_here(plan: StudyPlan, folder: Path, done: dict[Path, float]) -> None:
    """Finish the study in this process; what was done is not done again."""
    with locked(folder, wait=True):  # until nothing works in the folder
        pass
    result = run_study(plan, folder)
    assert len(result.rows()) == 1 + 3 and len(list(folder.rglob(RESULTS))) == 6
    assert {file: file.stat().st_mtime for file in done} == done


@pytest.mark.slow
def test_a_study_that_is_killed_loses_no_finished_run(plan, start_study, tmp_path: Path) -> None:
    study = start_study(workers=2)
    done = _wait_for_results(tmp_path / "study", 1)
    study.kill()
    _finish_here(plan, tmp_path / "study", done)


@pytest.mark.slow
def test_a_killed_scheduler_ends_the_study_which_goes_on_later(
    plan, start_study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scheduler.json"
    environment = os.environ | {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}

    def dask(what: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", what, "--scheduler-file", str(file), *options]
        return subprocess.Popen(command, env=environment)

    scheduler = dask("scheduler", "--port", "0", "--dashboard-address", ":0")
    while not file.exists():
        time.sleep(0.1)
    worker = dask("worker", "--nthreads", "1", "--death-timeout", "10")
    address = json.loads(file.read_text())["address"]
    study = start_study(address=address)
    done = _wait_for_results(tmp_path / "study", 1)
    scheduler.kill()
    study.join(timeout=120)
    assert study.exitcode == 1  # not None: it has noticed
    assert "error: the Dask scheduler was lost" in capfd.readouterr().err
    worker.terminate()
    worker.wait()
    _finish_here(plan, tmp_path / "study", done)
