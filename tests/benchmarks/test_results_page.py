"""docs/results.md and the zoo's own tickets are made from the studies' JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results_page, zoo
from benchmarks.evidence import FOLDER, Study, studies
from ean_transfer.ticket import Ticket


def study(label: str, seeds: list[int], **metrics: list[float]) -> Study:
    return Study("one", {"seeds": seeds, "metrics": {label: metrics}})


def test_the_page_is_current() -> None:
    said = "run python -m benchmarks.results_page"
    assert results_page.PAGE.read_text(encoding="utf-8") == results_page.Results().page(), said


@pytest.mark.parametrize(("label", "sign"), [("CamVid val mIoU (%)", 1), ("cells MAE", -1)])
def test_an_advantage_is_positive_where_the_first_arm_is_better(label: str, sign: int) -> None:
    one = study(label, [0, 1, 2], full=[3.0, 4.0, 5.5], none=[1.0, 2.5, 3.0])
    comparison = one.compare(label, "full", "none")
    assert comparison is not None
    assert comparison.verdict.advantages == {0: 2.0 * sign, 1: 1.5 * sign, 2: 2.5 * sign}
    assert comparison.cell == (
        "**+2.00 (+1.16 to +2.84)**" if sign == 1 else "**-2.00 (-2.84 to -1.16)**"
    )
    assert one.compare(label, "ticket", "none") is None


def test_only_seeds_that_both_arms_have_are_compared() -> None:
    one = study("accuracy (%)", [4, 5], none=[50.0], full=[52.0, 60.0])
    comparison = one.compare("accuracy (%)", "full", "none")
    assert comparison is not None and comparison.verdict.advantages == {4: 2.0}
    assert comparison.cell == "+2.00"  # one seed has no interval


def test_every_study_of_the_docs_is_on_the_page() -> None:
    demo = {"toy", "toy_7_epochs", "toy_one_thread"}  # runs of the demo, in first_studies.md
    assert studies().keys() - demo <= results_page.STUDIES.keys()


def test_a_study_that_is_done_brings_its_verdicts(tmp_path: Path) -> None:
    assert "lite0_cells" in results_page.STUDIES
    data: dict[str, Any] = {
        "seeds": [0, 1],
        "metrics": {"cells MAE": {"none": [3.0, 4.0], "full": [2.0, 3.5]}},
        "verdicts": [
            dict(claim="full is better", answer="holds", reason="p = 0.01", mean=0.75, t=[0.1, 1.4])
        ],
    }
    for file in FOLDER.glob("*.json"):
        if file.stem not in results_page.STUDIES:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "lite0_cells.json").write_text(json.dumps(data))
    page = results_page.Results(tmp_path).page()
    assert "| lite0_cells | full is better | **holds**: p = 0.01 | +0.75 (+0.10 to +1.40) |" in page
    assert "full over none" in page and "| 2 | +0.75 (" in page
    assert "better in 0, worse in 0, not decided in 1 of 1" in page


@pytest.mark.parametrize("name", zoo.SEARCHED)
def test_a_ticket_of_the_zoo_carries_the_answers_of_the_studies_that_trained_it(name: str) -> None:
    ticket = Ticket.load(f"zoo:{name}")
    current = zoo.with_studies(Ticket.load(FOLDER / zoo.SEARCHED[name]))
    assert ticket.to_json() == current.to_json(), "run python -m benchmarks.zoo"
    answers = [one["answer"] for one in ticket.provenance["studies"]]
    holds = f"better in {answers.count('holds')} of {len(answers)} comparisons"
    assert ticket.provenance["confirmed_by"] == (holds if answers else "no study yet")
