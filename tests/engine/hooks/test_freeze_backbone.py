"""A frozen backbone: what of it is trained all the same, and what its own settings keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer.engine.hooks import FreezeBackboneHook
from ean_transfer.engine.runner import build_runner


class Watch(Hook):
    """Keeps the backbone's BatchNorm layers in training mode, and its frozen parameters."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.normalising: list[int] = []
        self.frozen: list[list[str]] = []

    def before_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        backbone = runner.model.backbone
        norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
        self.normalising.append(sum(norm.training for norm in norms))
        parameters = backbone.named_parameters()
        self.frozen.append([name for name, one in parameters if not one.requires_grad])


def watched(cfg: Any, folder: Path, until: int | None) -> Watch:
    runner = build_runner(cfg, folder, quiet=True)
    runner.register_hook(FreezeBackboneHook(until))
    runner.register_hook(watch := Watch())
    runner.train()
    return watch


def test_norm_eval_holds_after_the_backbone_is_trained(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy", **{"train_cfg.max_epochs": 2})
    cfg.model.backbone.norm_eval = True
    watch = watched(cfg, tmp_path, until=1)
    assert watch.frozen[3] and not watch.frozen[4]  # of 4 iterations in an epoch
    assert watch.normalising == [0] * 8


def test_the_learned_input_of_asr_is_attention(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    cfg.model.backbone.update(ticket="full", attention=dict(type="SE", reduction=4), asr=True)
    watch = watched(cfg, tmp_path, until=None)
    inputs = [name for name in torch.load(tmp_path / "epoch_1.pth")["state_dict"] if "psi" in name]
    assert inputs and watch.frozen[0]
    assert not {name.removeprefix("backbone.") for name in inputs} & {*watch.frozen[0]}


@pytest.mark.parametrize("averaged", [False, True])
def test_frozen_statistics_are_not_measured_anew(toy, tmp_path: Path, averaged: bool) -> None:
    cfg = toy("classification/toy")
    cfg.custom_hooks = [
        dict(type="FreezeNormHook", begin=0, images=32),
        dict(type="FreezeBackboneHook"),
        *([dict(type="EMAHook", update_buffers=True)] if averaged else []),
    ]
    runner = build_runner(cfg, tmp_path, quiet=True)
    runner.train()
    saved = torch.load(tmp_path / "epoch_1.pth")["state_dict"]
    means = [value for name, value in saved.items() if name.endswith("running_mean")]
    assert means and not any(mean.any() for mean in means)  # as they began
