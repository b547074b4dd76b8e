"""A study on tiny data: its table, its files, and that it continues where it was stopped."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.analysis import latency
from ean_transfer.attachment.network import find_backbone
from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.errors import ConfigError
from ean_transfer.study.arms import Arm
from ean_transfer.study.identity import read_results
from ean_transfer.study.jobs import Job, train_and_test
from ean_transfer.study.networks import build_networks
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.report import write_report
from ean_transfer.study.run import run_study
from ean_transfer.ticket import Ticket, TicketError
from tests.helpers import CONFIGS
from tests.study.trainings import Trainings, changed


@pytest.fixture
def plan(make_task, tmp_path: Path) -> StudyPlan:
    """A study of one task."""
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar").save(tmp_path / "given.json")
    return StudyPlan(
        tasks={"classification": make_task("classification")},
        ticket=str(ticket),
        image_size=24,
        batch_size=2,
    )


@pytest.mark.slow
def test_compares_arms_writes_table_and_page_and_continues(
    plan: StudyPlan, make_task, tmp_path: Path
) -> None:
    starts = dict(starts_from="classification")
    plan = changed(
        plan,
        tasks=plan.tasks
        | {
            "segmentation": make_task("segmentation", **starts),
            "counting": make_task("crowd_counting", **starts),
        },
        compiled=True,
    )
    folder = tmp_path / "study"
    result = run_study(plan, folder)
    written = json.loads((folder / "results.json").read_text())
    assert written["ticket"] == "10 01 00" and written["seeds"] == [0]
    assert set(written["metrics"]) == {"accuracy", "mIoU", "MAE"}
    none, full, ticket = result.attention_parameters.values()
    assert none == 0 and 0 < ticket < full
    assert result.increments[Arm("none")]["median"] == 0.0
    headings, *rows = result.rows()
    assert result.compiled_increments[Arm("none")]["median"] == 0.0
    assert result.compiled_increments[Arm("full")] != result.increments[Arm("full")]
    assert headings == [
        *("arm", "accuracy", "mIoU", "MAE", "attention parameters"),
        *("time over none", "compiled, over none"),
    ]
    assert [row[0] for row in rows] == ["none", "full", "ticket (10 01 00)"]

    page = write_report(result, folder, title="A <study>").read_text()
    assert "A &lt;study&gt;" in page
    # Segmentation: truth, arms, a legend; counting: arms.
    assert page.count("data:image/png;base64,") == 3 * 4 + 1 + 3 * 3
    seconds, peaks = (
        [getattr(run, what) for runs in result.runs["segmentation"].values() for run in runs]
        for what in ("train_seconds", "peak_memory")
    )
    assert all(0 < s < 60 for s in seconds) and all(p is None or 5e7 < p < 5e10 for p in peaks)
    table = {row[0]: row[1:] for row in result.task_rows("segmentation")}
    assert {"mIoU", "aAcc", "IoU.background", "training (min)"} <= set(table)
    assert "| mIoU |" in (folder / "results.md").read_text()
    assert page.count('class="cell on"') == 6 + 2

    # Nothing is trained again; a run that is missing is.
    trained = []

    def note(job: Job) -> dict:
        trained.append(job.folder)
        return train_and_test(job)

    again = run_study(plan, folder, train_and_test=note)
    assert trained == [] and again.metrics == result.metrics
    lost = folder / "counting" / "full" / "seed0"
    (lost / "metrics.json").unlink()
    run_study(plan, folder, train_and_test=note)
    assert trained == [lost]


def test_seed_reaches_the_draw_and_weights_are_those_of_the_arm(
    trainings: Trainings, tmp_path: Path
) -> None:
    task = Task(
        config=str(CONFIGS / "crowd_counting/resnet20_se_cells_short.py"),
        metric="MAE",
        label="MAE",
        weights="x/{arm}.pth",
        seed_keys=["train_dataloader.dataset.draw.seed", "val_dataloader.dataset.draw.seed"],
    )
    ticket = Ticket.from_bits("110 101 000", "resnet20_cifar").save(tmp_path / "given.json")
    plan = StudyPlan(tasks={"a": task}, ticket=str(ticket), arms=["full"], seeds=[3, 4])
    run_study(plan, tmp_path / "study", train_and_test=trainings)
    for job, seed in zip(trainings.jobs, (3, 4), strict=True):
        draws = [job.cfg[f"{part}_dataloader"].dataset.draw for part in ("train", "val")]
        assert [(draw.seed, draw.get("rest", False)) for draw in draws] == [
            (seed, False),
            (seed, True),
        ]
        assert (job.train_seed, job.weights) == (seed, "x/full.pth")

    wrong = Task(**dict(task) | {"seed_keys": ["train_dataloader.no.seed"]})
    with pytest.raises(ConfigError, match=r"cells_short.py: no key 'train_dataloader.no.seed'"):
        run_study(changed(plan, tasks={"a": wrong}), tmp_path)


def test_random_tickets_by_seed_and_backbones_trained_once(
    plan: StudyPlan, make_task, trainings: Trainings, tmp_path: Path
) -> None:
    tasks = {
        "classification": make_task("classification", once=True),
        "segmentation": make_task("segmentation", starts_from="classification"),
    }
    folder = tmp_path / "study"
    plan = changed(plan, tasks=tasks, arms=("none", "random"), seeds=(3, 4))
    result = run_study(plan, folder, train_and_test=trainings)
    random3, random4 = (Ticket.load(folder / f"random{seed}.json") for seed in (3, 4))
    runs = [
        (name, job.ticket, job.start and "/".join(job.start.parts[-3:]), job.train_seed)
        for name, job in zip(trainings.done, trainings.jobs, strict=True)
    ]
    none = "00 00 00"
    assert runs == [
        ("classification/none/seed3", none, None, 3),
        ("classification/random/seed3", str(random3), None, 3),
        ("segmentation/none/seed3", none, "classification/none/seed3", 3),
        ("segmentation/random/seed3", str(random3), "classification/random/seed3", 3),
        # The first seed, another ticket:
        ("classification/random/seed4", str(random4), None, 3),
        ("segmentation/none/seed4", none, "classification/none/seed3", 4),
        ("segmentation/random/seed4", str(random4), "classification/random/seed4", 4),
    ]
    built = find_backbone(MODELS.build(trainings.jobs[-1].cfg.model)).ticket
    assert built.mask == random4.mask
    given = Ticket.load(plan.ticket)
    assert {random3.connected, random4.connected} == {given.connected}
    assert given.mask not in (random3.mask, random4.mask)
    assert result.rows()[2][:3] == ["random", "53.00 ± 0.00", "35.00 ± 7.07"]
    assert result.task_rows("classification")[1] == ["accuracy/top1", "53.00", "53.00 ± 0.00"]
    written = json.loads((folder / "results.json").read_text())
    drawn = [run["ticket"] for run in written["runs"]["mIoU"]["random"]]
    assert drawn == [str(random3), str(random4)]


def test_arms_with_one_mask_are_one_training(
    plan: StudyPlan, make_task, trainings: Trainings, tmp_path: Path, capsys
) -> None:
    tasks = plan.tasks | {
        "segmentation": make_task("segmentation", starts_from="classification"),
    }
    mine = Ticket.from_bits("00 00 11", "resnet14_cifar").save(tmp_path / "mine.json")
    plan = changed(
        plan, tasks=tasks, arms=("late2", "ticket"), tickets={"mine": str(mine)}, seeds=(3, 4)
    )

    def train(job: Job) -> dict:
        (job.folder / "samples").mkdir()
        (job.folder / "samples" / "0_truth.png").write_bytes(b"drawn")
        return trainings(job)

    folder = tmp_path / "study"
    result = run_study(plan, folder, train_and_test=train)
    assert trainings.done == [
        f"{task}/{arm}/seed{seed}"
        for seed in (3, 4)
        for task in ("classification", "segmentation")
        for arm in ("late2", "ticket")
    ]
    for task in plan.tasks:
        runs = {arm.title: runs for arm, runs in result.runs[task].items()}
        assert runs["mine"] == runs["late2"] and runs["mine"] != runs["ticket"]
        taken = folder / task / "mine" / "seed4"
        assert (taken / "samples" / "0_truth.png").read_bytes() == b"drawn"
        assert (taken / "last_checkpoint").exists()  # to be used like any other run
        assert (
            read_results(taken)["metrics"] == read_results(folder / task / "late2/seed4")["metrics"]
        )
    said = "segmentation, mine, seed 4: mIoU 40.00, as segmentation/late2/seed4"
    assert said in capsys.readouterr().out
    again = run_study(plan, folder, train_and_test=train)
    assert len(trainings.jobs) == 8 and again.metrics == result.metrics


@pytest.fixture
def two_starts(plan: StudyPlan, toy, tmp_path: Path) -> StudyPlan:
    """A study of tasks that differ in how attention starts."""
    file = tmp_path / "identity.py"
    toy("classification/toy", **{"model.backbone.init": "identity"}).dump(file)
    own = plan.tasks["classification"]
    identity = Task(config=str(file), metric=own.metric, label="accuracy from identity")
    return changed(plan, tasks={"own": own, "identity": identity})


def test_tasks_that_differ_in_attention_alone_share_the_training_without_any(
    two_starts: StudyPlan, trainings: Trainings, tmp_path: Path, capsys
) -> None:
    folder = tmp_path / "study"
    result = run_study(two_starts, folder, train_and_test=trainings)
    assert trainings.done == [
        *(f"own/{arm}/seed0" for arm in ("none", "full", "ticket")),
        *(f"identity/{arm}/seed0" for arm in ("full", "ticket")),
    ]
    assert "identity, none, seed 0: accuracy from identity 50.00, as own/none/seed0" in (
        capsys.readouterr().out
    )
    again = run_study(two_starts, folder, train_and_test=trainings)
    assert len(trainings.jobs) == 5 and again.metrics == result.metrics


@pytest.mark.slow
def test_such_tasks_give_equal_networks_without_attention(
    two_starts: StudyPlan, tmp_path: Path
) -> None:
    weights = []
    for name, task in two_starts.tasks.items():
        alone = changed(two_starts, tasks={name: task}, arms=("none",))
        run_study(alone, tmp_path / name)
        weights.append(
            torch.load(last_checkpoint(tmp_path / name / name / "none" / "seed0"))["state_dict"]
        )
    own, identity = weights
    assert own.keys() == identity.keys()
    assert all(torch.equal(own[key], identity[key]) for key in own)


def test_a_finished_run_is_not_trained_again_for_an_equal_arm_before_it(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path
) -> None:
    mine = Ticket.from_bits("00 00 11", "resnet14_cifar").save(tmp_path / "mine.json")
    plan = changed(plan, arms=("none",), tickets={"mine": str(mine)})
    run_study(plan, tmp_path / "study", train_and_test=trainings)
    more = changed(plan, arms=("late2", "none", "full"))
    result = run_study(more, tmp_path / "study", train_and_test=trainings)
    assert [name.split("/")[1] for name in trainings.done] == ["none", "mine", "full"]
    late2, _, _, own = result.runs["classification"].values()
    assert late2 == own


def test_several_attentions_are_compared_on_one_mask(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path
) -> None:
    attentions = {"SE": {"type": "SE", "reduction": 4}, "groups": {"type": "SGE", "groups": 4}}
    plan = changed(plan, attentions=attentions)
    result = run_study(plan, tmp_path / "study", train_and_test=trainings)
    titles = ["none", "SE full", "SE ticket", "groups full", "groups ticket"]
    assert trainings.done == [f"classification/{title.replace(' ', '_')}/seed0" for title in titles]
    kinds = [job.cfg.model.backbone.attention["type"] for job in trainings.jobs]
    assert kinds[1:] == ["SE", "SE", "SGE", "SGE"]
    assert [arm.title for arm in result.runs["classification"]] == titles
    assert [row[0] for row in result.rows()][3:] == [
        "SE ticket (10 01 00)",
        "groups full",
        "groups ticket (10 01 00)",
    ]
    carried = Ticket.load(tmp_path / "study" / "groups_ticket.json")
    assert carried.attention_options == {"groups": 4}
    assert carried.provenance["carried_from"]["attention"] == "SE"
    written = json.loads((tmp_path / "study" / "results.json").read_text())
    assert list(written["metrics"]["accuracy"]) == titles
    assert written["attention_parameters"]["groups full"] == 3 * 2 * 4


def test_hidden_channels_are_rounded_alike_in_all_arms(plan: StudyPlan, tmp_path: Path) -> None:
    # SE's reduction divides the channels of the last stage, and not those of all stages.
    backbone = dict(type="AttachedBackbone", model="torchvision:mobilenet_v3_small", attention="SE")
    model = dict(type="mmpretrain.ImageClassifier", backbone=backbone)
    full = find_backbone(MODELS.build(model)).ticket
    ticket = full.with_mask((0, 0, 0, 0, 0, 1))
    plan = changed(plan, arms=("full", "ticket"), attentions={"SE": {"type": "SE"}})
    configs = {"classification": Config(dict(model=model))}
    networks = build_networks(plan, {"ticket": ticket}, configs, tmp_path)
    hidden = {net.backbone.attentions[-1].fc1.out_features for net in networks.values()}
    assert hidden == {8} and len(networks) == 2


def test_arms_with_attention_at_other_places_are_refused(plan: StudyPlan, tmp_path: Path) -> None:
    body = dict(type="AttachedBackbone", model="torchvision:mobilenet_v3_small", attention="SE")
    own = find_backbone(MODELS.build(body | dict(at=["features.1", "features.2"]))).ticket

    def networks(backbone: dict[str, Any], *arms: str) -> int:
        configs = {"classification": Config(dict(model=backbone))}
        return len(build_networks(changed(plan, arms=arms), {"ticket": own}, configs, tmp_path))

    with pytest.raises(ConfigError, match=r"full has .* residual blocks, arm ticket at features.1"):
        networks(body, "full", "ticket")
    assert networks(body, "none", "ticket") == 2
    assert networks(body | dict(at=["features.1", "features.2"]), "full", "ticket") == 2


def test_attention_that_is_folded_costs_nothing(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path
) -> None:
    se = {"type": "SE", "reduction": 4}
    attentions = {"SE": se, "ASR": se | {"asr": True}, "ASR+SE": se | {"asr": "before"}}
    plan = changed(plan, attentions=attentions)
    result = run_study(plan, tmp_path / "study", train_and_test=trainings)
    built = [find_backbone(MODELS.build(job.cfg.model)).ticket for job in trainings.jobs]
    assert [str(ticket) for ticket in built] == [
        "00 00 00",
        "11 11 11",
        "10 01 00",
        "00 00 00 asr 11 11 11",
        "00 00 00 asr 10 01 00",
        "11 11 11 asr 11 11 11",
        "10 01 00 asr 10 01 00",
    ]
    assert str(result.ticket) == "10 01 00"
    parameters = {arm.title: number for arm, number in result.attention_parameters.items()}
    assert parameters["ASR full"] == parameters["ASR ticket"] == parameters["none"] == 0
    assert parameters["ASR+SE full"] == parameters["SE full"] > parameters["ASR+SE ticket"] > 0


def test_times_are_ratios_to_nones_of_the_same_round(
    plan: StudyPlan, trainings: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[int] = Counter()

    def slower_each_round(network: Any, *_: Any) -> float:
        connected = sum(find_backbone(network).mask)
        calls[connected] += 1
        return calls[connected] * (1 + 0.1 * connected)

    monkeypatch.setattr(latency, "forward_ms", slower_each_round)
    result = run_study(plan, tmp_path / "study", train_and_test=trainings)
    measured = {arm.title: over for arm, over in result.increments.items()}
    for title, ratio in (("none", 0.0), ("full", 0.6), ("ticket", 0.2)):
        for what in ("median", "lower", "upper"):
            assert measured[title][what] == pytest.approx(ratio), title
    few, many = (f"{result.attention_parameters[arm]:,.0f}" for arm in reversed(plan.compared[1:]))
    tested = [f"{values[0]:.2f}" for values in result.metrics["classification"].values()]
    assert result.rows() == [
        ["arm", "accuracy", "attention parameters", "time over none"],
        ["none", tested[0], "0", "+0.0 %"],
        ["full", tested[1], many, "+60.0 %"],
        ["ticket (10 01 00)", tested[2], few, "+20.0 %"],
    ]


def test_rules_of_thumb_folded_attention_and_further_tickets_are_arms(
    plan: StudyPlan, write_config, trainings: Trainings, tmp_path: Path
) -> None:
    mine = Ticket.from_bits("11 00 00", "resnet14_cifar").save(tmp_path / "other.json")
    target = write_config("segmentation/toy_search", **{"search.steps": 1, "search.supernets": 1})
    searched = Ticket.from_bits("01 10 00", "resnet14_cifar")

    def search(cfg: Config, folder: Path, **_: Any) -> None:
        searched.save(folder / "ticket.json")

    folder = tmp_path / "study"
    plan = changed(
        plan,
        arms=("late2", "first_half", "every_other", "asr", "ticket"),
        tickets={"mine": str(mine)},
        searches={"searched_on_target": target},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ean_transfer.study.searches.run_search", search)
        result = run_study(plan, folder, train_and_test=trainings)
    built = {
        job.arm.title: str(find_backbone(MODELS.build(job.cfg.model)).ticket)
        for job in trainings.jobs
    }
    assert built == {
        "late2": "00 00 11",
        "first_half": "11 10 00",
        "every_other": "01 01 01",
        "asr": "00 00 00 asr 11 11 11",
        "ticket": "10 01 00",
        "mine": "11 00 00",
        "searched_on_target": "01 10 00",
    }
    assert [
        Ticket.load(folder / f"{name}.json").mask for name in ("mine", "searched_on_target")
    ] == [
        Ticket.load(mine).mask,
        searched.mask,
    ]
    assert result.rows()[-1][0] == "searched_on_target (01 10 00)"


def test_bad_input_comes_before_any_training(
    plan: StudyPlan, make_task, write_config, trainings: Trainings, tmp_path: Path
) -> None:
    other = {"model.backbone.attention.reduction": 2}
    tasks = plan.tasks | {"segmentation": make_task("segmentation")}
    write_config("segmentation/toy", **other)
    for changes, search_seed, error, message in (
        ({"tasks": tasks, "arms": ["full"]}, None, ConfigError, "classification and segmentation"),
        ({"ticket": str(tmp_path / "no.json")}, None, TicketError, "no.json: no such ticket file"),
        ({}, 3, ConfigError, "--seed is the search's"),
    ):
        with pytest.raises(error, match=message):
            run_study(
                changed(plan, **changes),
                tmp_path / "study",
                search_seed=search_seed,
                train_and_test=trainings,
            )
    assert trainings.done == []


def test_a_metric_that_the_test_lacks_is_named(
    plan: StudyPlan, make_task, trainings: Trainings, tmp_path: Path
) -> None:
    plan = changed(plan, tasks={"a": make_task("classification", metric="top2")}, arms=["none"])
    with pytest.raises(ConfigError, match=r"no number 'top2', found \['MAE', 'accuracy/top1'"):
        run_study(plan, tmp_path, train_and_test=trainings)
