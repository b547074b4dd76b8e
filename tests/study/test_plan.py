"""Plans of studies: what is compared, and which plans are refused."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config

from ean_transfer.errors import ConfigError
from ean_transfer.study.arms import Arm, NamedAttention
from ean_transfer.study.plan import StudyPlan

TASK = dict(config="a.py", metric="m", label="m")
CLAIM = dict(better="ticket", than="none")


def config(**content: Any) -> Config:
    return Config(content, cfg_text=" ", filename="study.py")


def from_config(changes: dict[str, Any]) -> StudyPlan:
    cfg = config(study=dict(tasks=dict(a=TASK), ticket="x"))
    cfg.merge_from_dict({f"study.{key}": value for key, value in changes.items()})
    return StudyPlan.from_config(cfg)


def test_arms_with_attentions_are_compared_once_for_each() -> None:
    assert [arm.title for arm in from_config({}).compared] == ["none", "full", "ticket"]
    se, groups = dict(type="SE", reduction=4, asr="before"), dict(type="SGE")
    plan = from_config({"attentions": {"SE": se, "in groups": groups}, "arms": ["none", "full"]})
    assert plan.compared == (
        Arm("none"),
        Arm("full", NamedAttention("SE", se)),
        Arm("full", NamedAttention("in groups", groups)),
    )
    assert [arm.title for arm in plan.compared] == ["none", "SE full", "in groups full"]
    assert [arm.folder for arm in plan.compared] == ["none", "SE_full", "in_groups_full"]
    attention = plan.compared[1].attention
    assert attention.config == dict(type="SE", reduction=4) and attention.asr == "before"
    assert len(set(plan.compared)) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks.a.starts_from": "b"}, "task a starts from 'b', no such task"),
        ({"tasks.a.starts_from": "a"}, "task a starts from 'a', no such task"),
        (
            {"tasks.b": dict(TASK, label="n", starts_from="a", weights="x")},
            "task b.*`starts_from`.*`weights`",
        ),
        ({"ticket": None}, "either `search`"),
        ({"search": "search.py"}, "either `search`"),
        ({"tasks": dict(_delete_=True)}, "tasks"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [0, 0]}, r"seeds.*found \[0, 0\]"),
        ({"seeds": 3}, "seeds.*found 3"),
        ({"arms": ["half"]}, "arms.0.*none, full, ticket, random, .*found 'half'"),
        ({"arms": "none"}, "arms.*found 'none'"),
        ({"tickets": {"a b": "x", "a_b": "y"}}, "differ in more than spaces.*'a_b', 'a_b'"),
        ({"arm": ["none"]}, "unknown field 'arm'"),
        ({"tickets": {"none": "x"}}, "tickets.none.*not taken"),
        ({"tickets": {"a/b": "x"}}, "tickets.a/b.*found 'a/b'"),
        ({"tickets": {"m": "x"}, "searches": {"m": "y.py"}}, r"`tickets` and `searches`.*\['m'\]"),
        ({"claims": [dict(better="ticket")]}, "'claims.0.better.than' is missing"),
        ({"claims": [dict(as_good_as="full", arm="ticket")]}, "as_good_as.margin' is missing"),
        ({"claims": [dict(as_good_as="full", arm="ticket", margin=0)]}, "margin.*found 0"),
        ({"claims": ["ticket"]}, "claims.0.*found 'ticket'"),
        ({"claims": [CLAIM, CLAIM]}, "claims: expected different values"),
        ({"claims": [CLAIM | dict(than="late2")]}, "claims.0: .*arms.*found 'late2'"),
        ({"claims": [CLAIM | dict(than="ticket")]}, "claims.0: .*'ticket' twice"),
        ({"claims": [CLAIM | dict(task="b")]}, r"claims.0: expected `task`, one of \['a'\]"),
        ({"claims": [CLAIM], "tasks.b": dict(TASK, label="n")}, r"\['a', 'b'\].*found 2"),
        ({"claims": [CLAIM]}, "claims.0: .*'m' good.*`higher_is_better"),
        ({"claims": [CLAIM], "tasks.a.once": True}, "claims.0: task a .*one seed"),
        ({"tasks.b": TASK}, r"label.*\['m', 'm'\]"),
        ({"tasks.a.seed_keys": "seed"}, "tasks.a.seed_keys.*found 'seed'"),
        ({"tasks.a.metrics": "m"}, "unknown field 'tasks.a.metrics'"),
        ({"attentions": {"A": {"type": "SEE"}}}, "unknown attention 'SEE'"),
        ({"attentions": {"A": "SE"}}, "attentions.A.*found 'SE'"),
        ({"arms": ["none", "random"], "tasks.a.weights": "{arm}.pth"}, "task a.*{seed}"),
    ],
)
def test_bad_plans_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^study\.py: study: .*{message}"):
        from_config(changes)


def test_a_config_without_a_study_is_refused() -> None:
    with pytest.raises(ConfigError, match="study.py: study: .*'tasks' is missing"):
        StudyPlan.from_config(config(model=dict(type="X")))


def test_a_claim_knows_its_task_its_metric_and_which_way_is_better() -> None:
    counting = dict(config="b.py", metric="MAE", label="cells MAE")
    claims = [
        CLAIM | dict(task="a", higher_is_better=True),
        CLAIM | dict(metric="MAE"),
        CLAIM | dict(task="b", metric="GAME1"),
        CLAIM | dict(task="b", metric="accuracy/top1"),
    ]
    plan = from_config({"tasks.b": counting, "claims": claims})
    assert [plan.subject(claim) for claim in plan.claims] == [
        ("a", "m", True),
        ("b", "MAE", False),
        ("b", "GAME1", False),
        ("b", "accuracy/top1", True),
    ]
    qualities = ["m", "cells MAE", "GAME1 (b)", "accuracy/top1 (b)"]
    assert [plan.quality(claim) for claim in plan.claims] == qualities
    assert plan.metrics_of("b") == ["MAE", "GAME1", "accuracy/top1"]
