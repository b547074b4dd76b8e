"""Every config loads, builds its model, and opens with the command that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, TRANSFORMS

from ean_transfer.attachment.network import find_backbone, find_ticket, set_mask
from ean_transfer.crowd_counting import AdaptiveSigmas, AlbuPoints, DensityMap, DensityMSE
from ean_transfer.engine.channels import _EmptyLayers
from ean_transfer.engine.config import load_config
from ean_transfer.registry import type_name
from ean_transfer.study.plan import StudyPlan
from tests.helpers import ROOT

CONFIGS = sorted(p.relative_to(ROOT) for p in (ROOT / "configs").glob("[!_]*/*.py"))
TASKS = [path for path in CONFIGS if path.parent.name != "study"]
REFERENCES = [path for path in TASKS if path.name.startswith("csrnet")]
STUDIES = [path for path in CONFIGS if path.parent.name == "study"]


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_opens_with_the_command_that_runs_it(path: Path) -> None:
    opening = (ROOT / path).read_text().split('"""')[1]
    tool = {"study": "study"}.get(path.parent.name, "search" if "search" in path.name else "train")
    assert f"python tools/{tool}.py {path.as_posix()}" in opening


@pytest.mark.parametrize("path", REFERENCES, ids=str)
def test_builds_a_reference_that_takes_no_ticket(path: Path) -> None:
    assert find_ticket(MODELS.build(load_config(ROOT / path).model)) is None
    assert "without a ticket" in (ROOT / path).read_text().split('"""')[1]


@pytest.mark.parametrize("path", [path for path in TASKS if path not in REFERENCES], ids=str)
def test_builds_a_model_with_a_ticketed_backbone(path: Path) -> None:
    cfg = load_config(ROOT / path)
    with _EmptyLayers():  # spares drawing weights
        backbone = find_backbone(MODELS.build(cfg.model))
    assert backbone.ticket.attention is not None
    if path.parent.name == "classification":
        # As in the papers' code, no branch starts at zero; mmpretrain's default would, and leave
        # attention without a gradient in the first iteration. Attached networks have trained
        # weights instead.
        assert not getattr(backbone, "zero_init_residual", False)
    assert cfg.default_scope is None
    is_supernet = "supernet" in path.name or "search" in path.name
    hooks = str(cfg.get("custom_hooks"))
    assert is_supernet == ("RandomMaskHook" in hooks)
    assert is_supernet == ("SupernetValLoop" in str(cfg.val_cfg)) == (cfg.val_evaluator == [])
    if "search" in path.name:
        assert cfg.search.steps > 0
        # Searched on images that neither train nor test.
        held_out = cfg.val_dataloader.dataset
        rest, task = cfg.train_dataloader.dataset, path.parts[-2]
        if "toy" not in path.name and task == "classification":
            assert held_out.part == "held_out" and held_out.dataset.split == "train"
            assert rest.part == "train" and rest.per_class == held_out.per_class
            assert rest.dataset.pipeline != held_out.dataset.pipeline
            assert not cfg.val_dataloader.sampler.round_up
        elif "toy" not in path.name and task == "segmentation":
            assert held_out.split == rest.split == "train"
            assert not set(held_out.indices) & set(rest.indices)
        elif "toy" not in path.name:
            assert dict(rest.draw, rest=True) == held_out.draw
        assert cfg.test_dataloader.dataset != held_out


@pytest.mark.parametrize("path", [p for p in TASKS if p.parent.name == "crowd_counting"], ids=str)
def test_targets_of_a_counter_have_its_stride_and_the_losses_what_they_need(path: Path) -> None:
    cfg = load_config(ROOT / path)
    model = MODELS.build(cfg.model)
    pipeline = [TRANSFORMS.build(step) for step in cfg.train_dataloader.dataset.pipeline]
    maps = [step for step in pipeline if isinstance(step, DensityMap)]
    adaptive = [step for step in pipeline if isinstance(step, AdaptiveSigmas)]
    if any(isinstance(loss, DensityMSE) for loss in model.losses):
        (target,) = maps
        assert target.stride == model.stride
        assert bool(adaptive) == (target.sigma == "adaptive")
        for before in adaptive:  # measured before a crop hides neighbours
            crops = [step for step in pipeline if type(step) is AlbuPoints]
            assert pipeline.index(before) < pipeline.index(crops[0])
    else:
        assert not maps and not adaptive
    # A parameter that the loss does not reach stops a training on several processes; in a supernet
    # this is attention that a mask leaves out.
    if any(type_name(hook["type"]) == "RandomMaskHook" for hook in cfg.get("custom_hooks", [])):
        set_mask(model, "0" * find_backbone(model).ticket.num_blocks)
    inputs = torch.rand(2, 3, 32, 32)
    model.train()
    model(inputs).sum().backward()
    unused = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert bool(unused) == cfg.get("find_unused_parameters", False), unused[:3]


def test_sigmas_are_those_of_the_counting_page() -> None:
    adaptive = dict.fromkeys(["shanghaitech_a", "ucf_qnrf", "jhu_crowd"], "adaptive")
    pixels = {"shanghaitech_b": 15, "nwpu_crowd": 4, "crowd_short": 4, "cells": 2, "toy": 2}
    expected = adaptive | pixels
    for path in (path for path in TASKS if path.parent.name == "crowd_counting"):
        steps = load_config(ROOT / path).train_dataloader.dataset.pipeline
        sigmas = [step["sigma"] for step in steps if type_name(step["type"]) == "DensityMap"]
        (sigma,) = (expected[name] for name in expected if name in path.stem)
        reads_points = path.stem.endswith(("bayesian", "dm_count"))  # these losses need no map
        assert sigmas == ([] if reads_points else [sigma]), path


@pytest.mark.parametrize("path", STUDIES, ids=str)
def test_a_study_names_existing_configs(path: Path) -> None:
    plan = StudyPlan.from_config(load_config(ROOT / path))
    searches = plan.search_configs.values()
    for config in [*searches, *(task.config for task in plan.tasks.values())]:
        assert config in map(Path.as_posix, TASKS)
