"""A checkpoint's names: what was put around them is taken off, and what does not fit is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from ean_transfer import build_backbone
from ean_transfer.attachment.fitting import fitted
from ean_transfer.engine.training import train
from ean_transfer.engine.weights import load_backbone, load_model
from ean_transfer.errors import CheckpointError

Weights = dict[str, Tensor]


def under(prefix: str) -> Callable[[Weights], Weights]:
    return lambda weights: {f"{prefix}{name}": tensor for name, tensor in weights.items()}


def compiled(weights: Weights) -> Weights:
    return {name.replace("backbone.", "backbone._orig_mod."): weights[name] for name in weights}


def averaged(weights: Weights) -> Weights:
    return {"n_averaged": torch.tensor(3), **under("module.")(weights)}


FORMS: dict[str, tuple[Callable[[Weights], Any], str]] = {
    "bare": (lambda weights: weights, ""),
    "state_dict": (lambda weights: {"state_dict": weights, "epoch": 3}, ""),
    "several devices": (under("module."), "'module.'"),
    "model.": (under("model."), "'model.'"),
    "compiled": (under("_orig_mod."), "'_orig_mod'"),
    "compiled on several devices": (under("_orig_mod.module."), "'module.'"),
    "a compiled part": (compiled, "'_orig_mod'"),
    "lightning": (lambda weights: {"state_dict": under("model.")(weights)}, "'model.'"),
    "averaged": (averaged, "'module.'"),
    **{
        name: (lambda weights, name=name: {name: weights, "epoch": 3}, repr(name))
        for name in ("model", "state_dict_ema", "model_state_dict", "net", "model_ema", "whatever")
    },
    "two levels": (lambda weights: {"net": {"weights": under("a.b.")(weights)}}, "'net.weights'"),
    "with an optimizer": (
        lambda weights: {"optimizer": {"state": {0: {"step": torch.ones(3)}}}, "model": weights},
        "'model'",
    ),
    "the plain one of two": (
        lambda weights: {
            "state_dict_ema": {name: tensor + 1.0 for name, tensor in weights.items()},
            "state_dict": weights,
        },
        "",
    ),
}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = build_backbone("resnet14_cifar", base_channels=8)
        self.head = nn.Linear(32, 3)


@pytest.mark.parametrize("form", FORMS)
def test_what_all_tensors_share_is_taken_off_and_said(tmp_path: Path, form: str) -> None:
    wrap, said = FORMS[form]
    weights = Model().state_dict()
    torch.save(wrap(weights), tmp_path / "weights.pth")
    model = Model()
    report = load_backbone(model, tmp_path / "weights.pth")
    assert not report.missing
    assert said in str(report) if said else not report.changes
    whole = Model()
    load_model(whole, tmp_path / "weights.pth")
    init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "weights.pth")}
    prefixed = dict(init_cfg, prefix="backbone.")
    for network in (
        model.backbone,
        whole.backbone,
        build_backbone("resnet14_cifar", base_channels=8, init_cfg=init_cfg),
        build_backbone("resnet14_cifar", base_channels=8, init_cfg=prefixed),
    ):
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, weights[f"backbone.{name}"]), name
    assert torch.equal(whole.head.weight, weights["head.weight"])


def test_a_network_is_found_beside_another_librarys_head() -> None:
    backbone = build_backbone("resnet14_cifar", base_channels=8)
    weights = under("encoder.")(backbone.state_dict()) | {"head.bias": torch.zeros(3)}
    fit = fitted({"state_dict": weights}, backbone, "w.pth", parts=("", "backbone."))
    assert fit.changes == ("took the prefix 'encoder.' off",)
    assert fit.weights.keys() == backbone.state_dict().keys()
    two = under("student.")(backbone.state_dict()) | under("teacher.")(backbone.state_dict())
    with pytest.raises(CheckpointError, match="none of its .* belongs to the network"):
        fitted(two, backbone, "w.pth", parts=("", "backbone."))


def test_load_from_takes_the_same_forms(toy, tmp_path: Path, monkeypatch) -> None:
    runner = train(toy("classification/toy"), tmp_path / "first", quiet=True)
    weights = runner.model.state_dict()
    torch.save({"net": under("module.")(weights)}, tmp_path / "weights.pth")
    cfg = toy("classification/toy")
    cfg.load_from = str(tmp_path / "weights.pth")
    loaded: dict[str, Tensor] = {}

    def after_loading(runner: Runner, *_: object) -> None:
        loaded.update({name: t.clone() for name, t in runner.model.state_dict().items()})

    monkeypatch.setattr(
        "mmengine.runner.EpochBasedTrainLoop.run", lambda loop: after_loading(loop.runner)
    )
    train(cfg, tmp_path / "second", quiet=True)
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_names_of_both_sides_are_shown_where_nothing_fits() -> None:
    theirs = {"stem.0.weight": torch.zeros(1), "stages.1.gamma": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        fitted({"model": theirs}, Model(), "theirs.pth")
    for part in ("theirs.pth", "stem.0.weight", "stages.1.gamma", "backbone.conv1.weight", "head"):
        assert part in str(caught.value)
    with pytest.raises(CheckpointError, match="none of its 0 tensors"):
        fitted({"epoch": 3}, Model(), "empty.pth")
