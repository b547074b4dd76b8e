"""A study does not test a ticket on the images that it was searched with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ean_transfer.engine.config import config_hash, load_config
from ean_transfer.errors import ConfigError
from ean_transfer.search.leak import loader_images, shared_images
from ean_transfer.search.run import run_search
from ean_transfer.study.leak import doubt_about_ticket, require_unseen_test_images
from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.report import write_report
from ean_transfer.study.run import run_study
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.transfer import carry, fit
from tests.helpers import CONFIGS
from tests.study.trainings import Trainings

TOY = "classification/toy"
TEST_SET = "test_dataloader.dataset.split"


@pytest.fixture
def plan(make_task, write_config):
    """Makes a study of one task, whose search config has changes."""

    def make(task: dict | None = None, **changes: object) -> StudyPlan:
        search = write_config(f"{TOY}_search", **changes)
        options = {} if task is None else {"config": write_config(TOY, **task)}
        return StudyPlan(
            tasks={"classification": make_task("classification", **options)},
            search=search,
            image_size=24,
            batch_size=2,
        )

    return make


@pytest.mark.parametrize(
    ("split", "loader"), [("val", "val_dataloader"), ("train", "train_dataloader")]
)
def test_a_search_that_sees_test_images_is_refused_before_anything_is_trained(
    plan, write_config, tmp_path: Path, split: str, loader: str
) -> None:
    leaking = plan()
    write_config(TOY, **{TEST_SET: split})
    with pytest.raises(ConfigError, match=f"classification.*40 of 40 test images.*{loader}"):
        run_study(leaking, tmp_path / "study", train_and_test=Trainings())
    assert not (tmp_path / "study" / "search").exists()


def test_a_search_on_other_images_leaves_no_doubt(plan) -> None:
    study = plan()
    assert require_unseen_test_images(study, study.load_configs()) == ""


def test_images_without_names_leave_a_doubt(plan) -> None:
    study = plan(**{"val_dataloader.dataset.indices": -8})
    doubt = require_unseen_test_images(study, study.load_configs())
    assert "Not decided" in doubt and "classification" in doubt


def test_data_that_are_not_there_leave_a_doubt(toy) -> None:
    cfg = toy(TOY, **{"test_dataloader.dataset.split": "nowhere"})
    assert loader_images(cfg, "test_dataloader") is None
    assert shared_images({"val_dataloader": frozenset("ab")}, None) is None


def test_some_shared_images_are_enough() -> None:
    shared = shared_images({"val_dataloader": None, "b": frozenset("ab")}, frozenset("bcd"))
    assert shared is not None and shared.startswith("1 of 3 test images") and "b" in shared


@pytest.mark.parametrize(("same", "words"), [(True, "was searched with"), (False, "Not decided")])
def test_the_page_begins_with_what_is_known_of_a_tickets_search(
    make_task, tmp_path: Path, same: bool, words: str
) -> None:
    task = make_task("classification")
    held_out = load_config(task.config).test_dataloader.dataset if same else "others"
    settings = {"held_out_sha256": config_hash({"part": held_out})}
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar", provenance={"settings": settings})
    plan = StudyPlan(
        tasks={"classification": task},
        ticket=str(ticket.save(tmp_path / "given.json")),
        image_size=24,
        batch_size=2,
    )
    result = run_study(plan, tmp_path / "study", train_and_test=Trainings())
    page = write_report(result, tmp_path / "study", title="A study").read_text()
    body = page.partition("<body>")[2]
    assert words in body.partition("<h1>")[0]
    assert words in (tmp_path / "study" / "results.md").read_text().splitlines()[0]
    assert words in json.loads((tmp_path / "study" / "results.json").read_text())["doubt"]


def test_a_published_ticket_leaves_no_doubt() -> None:
    assert doubt_about_ticket(Ticket.from_bits("10 01 00", "resnet14_cifar"), {}) == ""


def test_a_ticket_made_from_a_searched_one_is_doubted_as_that_is() -> None:
    cfg = load_config(CONFIGS / f"{TOY}.py")
    settings = {"held_out_sha256": config_hash({"part": cfg.test_dataloader.dataset})}
    searched = Ticket.from_bits("100 010 001", "resnet20_cifar", provenance={"settings": settings})
    picked = searched.replace(provenance={"picked_by": "best", "search": searched.provenance})
    others = (picked, carry(picked, attention="ECA"), fit(searched, "resnet56_cifar"))
    doubts = {doubt_about_ticket(ticket, {"toy": cfg}) for ticket in (searched, *others)}
    assert len(doubts) == 1 and "with the test images of toy" in doubts.pop()


@pytest.mark.slow
def test_a_search_by_itself_warns_of_test_images(
    toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = {"search.steps": 1, "search.supernets": 1}
    run_search(toy(f"{TOY}_search", **search, **{TEST_SET: "val"}), tmp_path)
    assert "40 of 40 test images" in capsys.readouterr().err
