"""A study on tiny data: its table, its files, and that it goes on where it was stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.errors import ConfigError
from ean_transfer.study import run as study
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.report import write_report
from ean_transfer.study.result import mean_and_spread
from ean_transfer.study.run import run_study
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket, TicketError
from tests.helpers import ROOT

TINY = {
    "train_dataloader.dataset.length": 32,
    "val_dataloader.dataset.length": 20,
    "test_dataloader.dataset.length": 20,
    "train_cfg.max_epochs": 1,
    "param_scheduler": [],
}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyPlan:
    load = study.load_config

    def load_tiny(path: str, options: dict | None = None) -> Config:
        return load(path, TINY | (options or {}))

    monkeypatch.setattr(study, "load_config", load_tiny)
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar").save(tmp_path / "given.json")
    config = {name: str(ROOT / f"configs/{name}/toy.py") for name in ("classification",)}
    config |= {n: str(ROOT / f"configs/{n}/toy.py") for n in ("segmentation", "crowd_counting")}
    return StudyPlan(
        tasks={
            "classification": Task(config["classification"], "accuracy/top1", "accuracy"),
            "segmentation": Task(config["segmentation"], "mIoU", "mIoU", "classification"),
            "counting": Task(config["crowd_counting"], "MAE", "MAE", "classification"),
        },
        ticket=str(ticket),
        image_size=24,
        batch_size=2,
    )


@pytest.mark.slow
def test_compares_arms_writes_table_and_page_and_goes_on(
    plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    result = run_study(plan, folder)
    written = json.loads((folder / "results.json").read_text())
    assert written["ticket"] == "10 01 00" and written["seeds"] == [0]
    assert set(written["metrics"]) == {"accuracy", "mIoU", "MAE"}
    assert result.attention_parameters["none"] == 0
    assert 0 < result.attention_parameters["ticket"] < result.attention_parameters["full"]
    assert result.increments["none"]["median"] == 0.0
    headings, *rows = result.rows()
    assert len(headings) == 6 and [row[0] for row in rows] == ["none", "full", "ticket (10 01 00)"]

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
    assert page.count('class="cell on"') == 2

    # Nothing is trained again; a run that is missing is.
    trained = []
    real = study._train_and_test
    monkeypatch.setattr(
        study, "_train_and_test", lambda *args: trained.append(args[1]) or real(*args)
    )
    again = run_study(plan, folder)
    assert trained == [] and again.metrics == result.metrics
    lost = folder / "counting" / "full" / "seed0"
    (lost / "metrics.json").unlink()
    run_study(plan, folder)
    assert trained == [lost]


def test_seed_reaches_the_draw_and_weights_are_those_of_the_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(ROOT / "configs/crowd_counting/resnet20_se_cells_short.py")
    keys = ["train_dataloader.dataset.draw.seed", "val_dataloader.dataset.draw.seed"]
    task = dict(config=config, metric="MAE", label="MAE", weights="x/{arm}.pth", seed_keys=keys)
    cfg = Config(dict(study=dict(tasks=dict(a=task), ticket="full", arms=["none"], seeds=[3, 4])))
    runs = []

    def note(cfg, folder, weights, seed):
        draws = [cfg[f"{part}_dataloader"].dataset.draw for part in ("train", "val")]
        runs.append((seed, weights, [(draw.seed, draw.get("rest", False)) for draw in draws]))
        return {"metrics": {"MAE": 1.0}}

    monkeypatch.setattr(study, "_train_and_test", note)
    monkeypatch.setattr(study, "time_increments", lambda *_, **__: {})
    ticket = Ticket.from_bits("110 101 000", "resnet20_cifar").save(tmp_path / "given.json")
    cfg.study.ticket = str(ticket)
    run_study(StudyPlan.from_config(cfg), tmp_path)
    assert runs == [(seed, "x/none.pth", [(seed, False), (seed, True)]) for seed in (3, 4)]

    cfg.study.tasks.a.seed_keys = ["train_dataloader.no.seed"]
    with pytest.raises(ConfigError, match=r"no key 'train_dataloader.no.seed'"):
        run_study(StudyPlan.from_config(cfg), tmp_path)
    cfg.study.tasks.a.starts_from = "a"
    with pytest.raises(ConfigError, match="both `starts_from` and `weights`"):
        StudyPlan.from_config(cfg)


def test_random_tickets_by_seed_and_backbones_trained_once(
    plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def note(cfg, folder, weights, seed):
        name = "/".join(folder.relative_to(tmp_path / "study").parts)
        runs.append((name, Path(cfg.model.backbone.ticket).name, weights, seed))
        return {"metrics": {"accuracy/top1": 50.0 + seed, "mIoU": 10.0 * seed}}

    monkeypatch.setattr(study, "_train_and_test", note)
    monkeypatch.setattr(study, "last_checkpoint", lambda run: "/".join(run.parts[-3:]))
    tasks = {
        "classification": replace(plan.tasks["classification"], once=True),
        "segmentation": plan.tasks["segmentation"],
    }
    plan = replace(plan, tasks=tasks, arms=("none", "random"), seeds=(3, 4))
    result = run_study(plan, tmp_path / "study")
    assert runs == [
        ("classification/none/seed3", "none", None, 3),
        ("classification/random/seed3", "random3.json", None, 3),
        ("segmentation/none/seed3", "none", "classification/none/seed3", 3),
        ("segmentation/random/seed3", "random3.json", "classification/random/seed3", 3),
        ("classification/random/seed4", "random4.json", None, 3),  # the first seed, another ticket
        ("segmentation/none/seed4", "none", "classification/none/seed3", 4),
        ("segmentation/random/seed4", "random4.json", "classification/random/seed4", 4),
    ]
    drawn = [Ticket.load(tmp_path / "study" / f"random{seed}.json") for seed in (3, 4)]
    given = Ticket.load(plan.ticket)
    assert [ticket.connected for ticket in drawn] == [given.connected] * 2
    assert given.mask not in [ticket.mask for ticket in drawn]
    assert result.rows()[2][:3] == [
        f"random ({drawn[0]}, {drawn[1]})",
        "53.00 ± 0.00",
        "35.00 ± 7.07",
    ]
    assert result.task_rows("classification")[1] == ["accuracy/top1", "53.00", "53.00 ± 0.00"]
    written = json.loads((tmp_path / "study" / "results.json").read_text())
    assert [run["ticket"] for run in written["runs"]["mIoU"]["random"]] == [str(t) for t in drawn]


def test_several_attentions_are_compared_on_one_mask(
    plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def note(cfg, folder, weights, seed):
        runs.append((folder.parent.name, cfg.model.backbone.attention["type"]))
        return {"metrics": {"accuracy/top1": float(len(runs))}}

    monkeypatch.setattr(study, "_train_and_test", note)
    attentions = {"SE": {"type": "SE", "reduction": 4}, "groups": {"type": "SGE", "groups": 4}}
    tasks = {"classification": plan.tasks["classification"]}
    plan = replace(plan, tasks=tasks, attentions=attentions)
    result = run_study(plan, tmp_path / "study")
    names = ["none", "SE full", "SE ticket", "groups full", "groups ticket"]
    assert [name for name, _ in runs] == [name.replace(" ", "_") for name in names]
    assert [kind for _, kind in runs][1:] == ["SE", "SE", "SGE", "SGE"]
    assert list(result.runs["classification"]) == names
    assert [row[0] for row in result.rows()][3:] == [
        "SE ticket (10 01 00)",
        "groups full",
        "groups ticket (10 01 00)",
    ]
    carried = Ticket.load(tmp_path / "study" / "groups_ticket.json")
    assert carried.attention_options == {"groups": 4}
    assert carried.provenance["carried_from"]["attention"] == "SE"
    assert result.attention_parameters["groups full"] == 3 * 2 * 4


def test_attention_that_is_folded_costs_nothing(
    plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def note(cfg, folder, weights, seed):
        built.append(str(find_backbone(MODELS.build(cfg.model)).ticket))
        return {"metrics": {"accuracy/top1": 1.0}}

    monkeypatch.setattr(study, "_train_and_test", note)
    se = {"type": "SE", "reduction": 4}
    attentions = {"SE": se, "ASR": se | {"asr": True}, "ASR+SE": se | {"asr": "before"}}
    tasks = {"classification": plan.tasks["classification"]}
    result = run_study(replace(plan, tasks=tasks, attentions=attentions), tmp_path / "study")
    assert built == [
        "00 00 00",
        "11 11 11",
        "10 01 00",
        "00 00 00 asr 11 11 11",
        "00 00 00 asr 10 01 00",
        "11 11 11 asr 11 11 11",
        "10 01 00 asr 10 01 00",
    ]
    assert str(result.ticket) == "10 01 00"
    parameters = result.attention_parameters
    assert parameters["ASR full"] == parameters["ASR ticket"] == parameters["none"] == 0
    assert parameters["ASR+SE full"] == parameters["SE full"] > parameters["ASR+SE ticket"] > 0


def test_tasks_on_different_networks_are_refused_before_any_training(
    plan: StudyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = study.load_config

    def load_other(path: str, options: dict | None = None) -> Config:
        cfg = load(path, options)
        if "segmentation" in path:
            cfg.model.backbone.attention = {"type": "SE", "reduction": 2}
        return cfg

    monkeypatch.setattr(study, "load_config", load_other)
    plan = replace(plan, arms=("full",))
    with pytest.raises(ConfigError, match="classification and segmentation have different netw"):
        run_study(plan, tmp_path / "study")


def test_a_metric_that_is_not_a_number_is_shown_as_such() -> None:
    assert mean_and_spread([float("nan"), 3.0]) == "nan ± nan"
    assert mean_and_spread([None, 3.0]) == "3.00" and mean_and_spread([None]) == "-"
    assert mean_and_spread([1.0, 3.0]) == "2.00 ± 1.41"


TASK = Task("a.py", "m", "m")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": {"a": replace(TASK, starts_from="b")}}, "'b', no such task before it"),
        ({"tasks": {"a": replace(TASK, starts_from="a")}}, "'a', no such task before it"),
        ({"ticket": None}, "either `search`"),
        ({"tasks": {}}, "a study needs tasks"),
        ({"seeds": ()}, "a study needs seeds"),
        ({"seeds": (0, 0)}, "seeds differ"),
        ({"arms": ("half",)}, "arms are none, full, ticket, random"),
        ({"tasks": {"a": TASK, "b": TASK}}, "labels of their own"),
        ({"attentions": {"A": {"type": "SEE"}}}, "attention A: unknown attention 'SEE'"),
        ({"attentions": {"A": "SE"}}, "attention A: "),
        (
            {"arms": ("none", "random"), "tasks": {"a": replace(TASK, weights="{arm}.pth")}},
            "weights need {seed}",
        ),
    ],
)
def test_bad_plans_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudyPlan(**{"tasks": {"a": TASK}, "ticket": "x"} | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 3}, r"seeds are a list, such as \[3\], found 3"),
        ({"arms": "none"}, r"arms are a list, such as \['none'\], found 'none'"),
        ({"tasks.a.seed_keys": "seed"}, r"seed_keys are a list, such as \['seed'\]"),
    ],
    ids=str,
)
def test_a_single_value_for_a_list_is_refused(changes: dict, message: str) -> None:
    cfg = Config(dict(study=dict(tasks=dict(a=asdict(TASK)), ticket="x")))
    cfg.merge_from_dict({f"study.{key}": value for key, value in changes.items()})
    with pytest.raises(ConfigError, match=message):
        StudyPlan.from_config(cfg)


def test_bad_input_comes_before_any_training(plan: StudyPlan, tmp_path: Path) -> None:
    with pytest.raises(TicketError, match="no such ticket file"):
        run_study(replace(plan, ticket=str(tmp_path / "no.json")), tmp_path)
    with pytest.raises(ConfigError, match="has a ticket instead"):
        run_study(plan, tmp_path, search_seed=3)
