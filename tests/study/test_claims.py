"""What a study says of its claims: holds, does not hold, or how many seeds are missing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from ean_transfer.engine.metrics import higher_is_better
from ean_transfer.errors import ConfigError
from ean_transfer.study.chance import fixed_sources
from ean_transfer.study.claims import AsGoodAs, Better, Verdict, claim_rows, figures, judge, terms
from ean_transfer.study.jobs import Job
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.report import write_report
from ean_transfer.study.run import run_study
from ean_transfer.study.stated import state_claims
from ean_transfer.study.strip import WIDTH, strip_of
from ean_transfer.ticket import Ticket
from tests.helpers import CONFIGS
from tests.study.trainings import Trainings, changed

BETTER = Better(better="ticket", than="none")
EQUAL = AsGoodAs(as_good_as="full", arm="ticket", margin=0.5)


def verdict(claim: Better | AsGoodAs, *advantages: float) -> Verdict:
    return judge(claim, "mIoU", dict(enumerate(advantages)))


@pytest.mark.parametrize(
    ("claim", "advantages", "answer", "reason"),
    [
        (BETTER, (0.9, 1.0, 1.1), "holds", "p = 0.002 over 3 seeds"),
        (BETTER, (-0.9, -1.0, -1.1), "does not hold", "p = 0.002 over 3 seeds"),
        (EQUAL, (0.0, 0.1, -0.1), "holds", "p = 0.007 over 3 seeds"),
        (EQUAL, (2.0, 2.1, 1.9), "does not hold", "p = 0.001 over 3 seeds"),
        (EQUAL, (0.6, 0.4, 0.8), "not decided", "about 31 more seeds"),
        (BETTER, (1.0, -0.5, 1.0), "not decided", "about 17 more seeds"),
        (BETTER, (1.0, -1.0, 0.001), "not decided", "more than 1000 seeds"),
        (BETTER, (5.0,), "not decided", "one seed"),
        (BETTER, (1.0, 1.0, 1.0), "not decided", "the same with every seed"),
        (BETTER, (1.0, math.nan, 1.1), "not decided", "seed 1 has no finite metric"),
    ],
)
def test_a_verdict_says_what_the_seeds_show(claim, advantages, answer: str, reason: str) -> None:
    one = verdict(claim, *advantages)
    assert one.answer == answer and reason in one.reason and one.text.startswith(f"{answer}: ")
    tested = reason.startswith(("p ", "about", "more"))
    assert (one.t is not None) == (one.bca is not None) == (one.p_outside is not None) == tested


def test_claims_are_sentences() -> None:
    assert BETTER.sentence("mIoU") == "ticket is better than none, in mIoU"
    more = Better(better="ticket", than="none", margin=0.2)
    assert more.sentence("MAE") == "ticket is better than none by more than 0.2, in MAE"
    assert EQUAL.sentence("mIoU") == "ticket is as good as full within 0.5, in mIoU"
    told = Better(better="ticket", than="none", metric="E", higher_is_better=False)
    assert told.sentence("E") == "ticket is better than none, in E, of which less is better"


def test_figures_have_the_digits_of_the_largest_advantage() -> None:
    row = claim_rows([verdict(BETTER, 10.0, 12.5, 11.0)])[1]
    assert row[2:4] == ["+10.0, +12.5, +11.0", "+11.2"]
    small = verdict(BETTER, 0.0101, 0.0125, math.nan)
    assert "by seed +0.0101, +0.0125, +nan" in figures(small)
    assert claim_rows([small])[1][4:] == ["-"] * 4


def test_a_study_without_claims_says_that_it_decides_nothing() -> None:
    assert "decide nothing" in terms([]) and "Student's t decides" in terms([verdict(BETTER, 1.0)])


@pytest.mark.parametrize("claim", [BETTER, EQUAL])
def test_a_strip_has_seeds_interval_and_claim_in_their_order(claim) -> None:
    one = verdict(claim, 0.2, 0.9, 0.4)
    strip = strip_of(one)
    assert strip is not None
    places = {value: place for _, value, place in strip.seeds}
    assert 0.0 < places[0.2] < places[0.4] < places[0.9] < WIDTH
    low, high, mean = strip.interval
    assert low < mean < high and places[0.4] < mean < places[0.9]
    zero = dict(strip.labels)["0"]
    assert zero < places[0.2] and strip.region[0] <= zero < strip.region[1] <= WIDTH
    assert strip_of(verdict(claim, math.nan)) is None


@pytest.mark.parametrize(
    ("metric", "higher"),
    [
        ("accuracy/top1", True),
        ("mIoU", True),
        ("IoU.road", True),
        ("MAE", False),
        ("GAME1", False),
        ("NAE", False),
        ("loss", False),
        ("my number", None),
    ],
)
def test_a_metric_s_name_tells_which_way_is_better(metric: str, higher: bool | None) -> None:
    assert higher_is_better(metric) is higher


def test_claims_stated_after_results_are_told_from_those_before(tmp_path: Path) -> None:
    assert state_claims(tmp_path, [], [0], 0).remarks() == []
    assert not list(tmp_path.iterdir())
    state_claims(tmp_path, ["A"], [0], 0)
    before = state_claims(tmp_path, ["A", "B"], [0, 1], 0).remarks()  # nobody saw a result
    assert before == ["Claims and seeds were stated before the first run."]
    assert state_claims(tmp_path, ["A", "B"], [1, 0], 4).remarks() == before  # the same seeds
    late = state_claims(tmp_path, ["A", "C"], [0, 1, 2], 4).remarks()
    assert len(late) == 3 and all("first run" not in remark for remark in late)
    assert "dropped" in late[0] and late[0].endswith(": B.")
    assert "4 of the runs" in late[1] and late[1].endswith(": C.")
    assert "2 seeds were changed to 3" in late[2]
    none_left = state_claims(tmp_path, [], [0, 1, 2], 6).remarks()
    assert [remark[-3:] for remark in none_left if "dropped" in remark] == [" A.", " B.", " C."]
    (tmp_path / "claims.json").write_text("{")
    with pytest.raises(ConfigError, match="claims.json: no record of a study's claims.*remove it"):
        state_claims(tmp_path, ["A"], [0], 0)


def test_a_study_gives_its_verdicts_first(make_task, trainings: Trainings, tmp_path: Path) -> None:
    def metrics(job: Job) -> dict[str, float]:
        full = job.arm.title == "full"
        return {"mIoU": 50.0, "MAE": 1.0 + 0.01 * job.seed if full else 2.0}

    trainings.metrics = metrics
    plan = StudyPlan(
        tasks={
            "segmentation": make_task("segmentation"),
            "counting": make_task("crowd_counting", starts_from="segmentation"),
        },
        ticket=str(Ticket.none("resnet14_cifar").save(tmp_path / "given.json")),
        arms=("none", "full"),
        seeds=(3, 4, 5),
        claims=(
            Better(better="full", than="none", task="counting"),
            AsGoodAs(as_good_as="none", arm="full", metric="mIoU", margin=1.0),
        ),
        image_size=24,
        batch_size=2,
    )
    folder = tmp_path / "study"
    result = run_study(plan, folder, train_and_test=trainings)
    fewer, equal = result.verdicts
    assert fewer.answer == "holds"  # a lower MAE is better
    assert fewer.advantages == pytest.approx({3: 0.97, 4: 0.96, 5: 0.95})
    assert equal.answer == "not decided" and set(equal.advantages.values()) == {0.0}

    command = "ean study study.py"
    page = write_report(result, folder, title="A study", command=command).read_text()
    assert page.index("<h1>") < page.index("full is better than none") < page.index("The arms")
    # Three seeds of two claims, two arms of two tasks.
    assert page.count("<circle") == 3 * 2 + 2 * 2 and "<strong>holds</strong>" in page
    assert page.count('<span class="cell on">') == 6 and page.count('<span class="cell">') == 6
    assert f"<pre>{command}</pre>" in page and f"torch {torch.__version__}" in page
    text = (folder / "results.md").read_text()
    assert text.index("| full is better than none, in MAE | holds: p") < text.index("### Results")
    assert "segmentation: the training images." in text
    written = json.loads((folder / "results.json").read_text())
    assert [one["answer"] for one in written["verdicts"]] == ["holds", "not decided"]
    assert written["stated"] == ["Claims and seeds were stated before the first run."]
    rows = (folder / "runs.csv").read_text().splitlines()
    assert rows[0] == "task,arm,seed,mask,number,value"
    assert "counting,full,3,11 11 11,MAE,1.03" in rows

    later = Better(better="full", than="none", task="segmentation")
    more = changed(plan, claims=(*plan.claims, later), seeds=(3, 4, 5, 6))
    remarks = run_study(more, folder, train_and_test=trainings).stated
    assert "12 of the runs" in remarks[0] and "3 seeds were changed to 4" in remarks[1]
    others = changed(plan, claims=(later,), seeds=(7, 8, 9))  # whose runs are all to be done
    dropped, *_, seeds = run_study(others, folder, train_and_test=trainings).stated
    assert "dropped" in dropped and "when 16 of the runs were finished" in seeds


def test_a_metric_that_only_a_claim_needs_is_named_if_the_test_lacks_it(
    make_task, trainings: Trainings, tmp_path: Path
) -> None:
    plan = StudyPlan(
        tasks={"a": make_task("classification")},
        ticket=str(Ticket.none("resnet14_cifar").save(tmp_path / "given.json")),
        arms=("none", "full"),
        claims=(Better(better="full", than="none", metric="accuracy/top5"),),
    )
    with pytest.raises(ConfigError, match="no number 'accuracy/top5'"):
        run_study(plan, tmp_path / "study", train_and_test=trainings)
    assert len(trainings.jobs) == 1


def test_what_does_not_vary_with_the_seed_is_said(make_task, write_config) -> None:
    draw = "train_dataloader.dataset.draw.seed"
    cells = str(CONFIGS / "crowd_counting/resnet20_se_cells_short.py")
    counting = dict(config=cells, metric="MAE")
    starts = [dict(type="Kaiming"), dict(type="Pretrained", checkpoint="model.pth")]
    plan = StudyPlan(
        tasks={
            "once": make_task("classification", once=True),
            "after": make_task("segmentation", starts_from="once"),
            "drawn": Task(**counting, label="1", weights="w.pth"),
            "varied": Task(**counting, label="2", weights="{seed}.pth", seed_keys=[draw]),
            "lite": Task(
                config=str(CONFIGS / "segmentation/fpn_lite0_se_camvid.py"),
                metric="mIoU",
                label="3",
            ),
            "whole": Task(
                config=write_config("crowd_counting/toy", load_from="whole.pth"),
                metric="MAE",
                label="4",
            ),
            "several": Task(
                config=write_config("segmentation/toy", **{"model.init_cfg": starts}),
                metric="mIoU",
                label="5",
            ),
        },
        search="search.py",
        tickets={"mine": "x.json"},
    )
    images, search, *fixed = fixed_sources(plan, plan.load_configs())
    assert images.startswith("Test images") and search.startswith("The search of ticket:")
    assert fixed == [
        "once: the whole training, once for each ticket with seed 0.",
        "once: the training images.",
        "after: the start, the one backbone of once for each ticket.",
        "after: the training images.",
        "drawn: the start, w.pth.",
        f"drawn: what {draw} = 0 draws.",
        "lite: the start, the pretrained weights package:efficientnet-lite0.",
        "lite: the training images.",
        "whole: the start, the pretrained weights whole.pth.",
        "whole: the training images.",
        "several: the start, the pretrained weights model.pth.",
        "several: the training images.",
    ]
