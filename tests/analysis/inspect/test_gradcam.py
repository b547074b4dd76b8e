"""Grad-CAM is its formula, on every backbone, and leaves the network as it was."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

from ean_transfer import Ticket
from ean_transfer.analysis.inspect import gradcam
from ean_transfer.analysis.inspect.gradcam import explain, grad_cam, overlay
from ean_transfer.backbones import TicketPreResNetCIFAR
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from tests.helpers import ROOT

pytest.importorskip("captum")
IMAGES = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([0, 5, 2])
SE = {"type": "SE", "reduction": 4}


def classifier(cfg: Config, **backbone):
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.update(backbone)
    torch.manual_seed(0)
    return MODELS.build(cfg.model).eval()


def literal(model, stage: int) -> torch.Tensor:
    """relu(sum_k a_k A_k), a_k the mean over positions of dy / dA_k."""
    backbone = model.backbone
    x = backbone.stem_forward(IMAGES)
    for part in backbone.stages[:stage]:
        x = part(x)
    last = stage == len(backbone.stages)
    maps = (backbone.output_layer(stage - 1)(x) if last else x).detach().requires_grad_()
    x = maps
    for part in backbone.stages[stage:]:
        x = part(x)
    x = x if last else backbone.output_layer(len(backbone.stages) - 1)(x)
    logits = model.head(model.neck((x,)))
    (gradients,) = torch.autograd.grad(logits[range(3), TARGETS].sum(), maps)
    alpha = gradients.mean(dim=(2, 3), keepdim=True)
    return (alpha * maps).sum(dim=1).relu().detach()


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("ticket", ["none", "full", "10 01 10"])
@pytest.mark.parametrize("kind", ["post-activation", "pre-activation"])
def test_map_is_the_formula(toy, kind: str, ticket: str, stage: int) -> None:
    changes = {"type": TicketPreResNetCIFAR} if kind == "pre-activation" else {}
    if ticket not in ("none", "full"):
        name = "preresnet14_cifar" if changes else "resnet14_cifar"
        options = {"attention_options": {"reduction": 4}, "sharing": "stage"}
        ticket = Ticket.from_bits(ticket, name, "SE", **options)
    model = classifier(toy("classification/toy"), attention=SE, ticket=ticket, **changes)
    expected = literal(model, stage)
    assert expected.amax() > 0
    torch.testing.assert_close(grad_cam(model, IMAGES, TARGETS, stage), expected)
    if stage == 3:
        torch.testing.assert_close(grad_cam(model, IMAGES, TARGETS), expected)


def test_network_stays_as_it_is_and_may_be_frozen(toy) -> None:
    model = classifier(toy("classification/toy"), ticket="full").train()
    before = copy.deepcopy(model.state_dict())
    first = grad_cam(model, IMAGES, TARGETS)
    assert model.training and not IMAGES.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(grad_cam(model.requires_grad_(False), IMAGES, TARGETS), first)


def test_the_true_or_the_predicted_class_is_explained(toy) -> None:
    cfg = toy("classification/toy")
    model = classifier(cfg, ticket="full")
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    batch = pseudo_collate([dataset[place] for place in range(8)])
    inputs = model.data_preprocessor(batch)["inputs"]
    probabilities = model(inputs).softmax(dim=1).detach()
    labels = torch.cat([sample.gt_label for sample in batch["data_samples"]])
    classes = {"true": labels, "predicted": probabilities.argmax(dim=1)}
    assert not torch.equal(*classes.values())
    for target, chosen in classes.items():
        found = explain(model, batch, target)
        maps = grad_cam(model, inputs, chosen).numpy()
        np.testing.assert_allclose([one.map for one in found], maps)
        assert [one.predicted for one in found] == classes["predicted"].tolist()
        expected = probabilities[range(8), chosen].tolist()
        assert [one.of_target for one in found] == pytest.approx(expected)
    with pytest.raises(ConfigError, match="expected true or predicted as the target, found 'x'"):
        explain(model, batch, "x")


def test_colours_lie_where_the_map_is_large() -> None:
    image = np.full((8, 8, 3), (10, 100, 200), dtype=np.uint8)
    nothing = overlay(image, np.zeros((2, 2)))
    assert (nothing == nothing[0, 0, 0]).all()  # grey
    evidence = np.array([[0.0, 0.0], [0.0, 3.0]])
    shown = overlay(image, evidence)
    assert (shown[0, 0] == nothing[0, 0]).all() and (shown[7, 7] != nothing[7, 7]).all()
    assert (overlay(image, 5 * evidence) == shown).all()  # scaled to its largest value


def test_missing_captum_wrong_stages_and_other_backbones_are_told(toy, monkeypatch) -> None:
    model = classifier(toy("classification/toy"), ticket="none")
    with pytest.raises(ConfigError, match="expected a stage from 1 to 3, found 4"):
        grad_cam(model, IMAGES, TARGETS, stage=4)
    model.backbone = torch.nn.Identity()
    with pytest.raises(ConfigError, match="expected a backbone of residual stages, found Identity"):
        grad_cam(model, IMAGES, TARGETS)
    monkeypatch.setattr(gradcam, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install -e ".\[inspect\]"'):
        grad_cam(model, IMAGES, TARGETS)


def test_sheet_of_networks(toy, tmp_path: Path, run_tool) -> None:
    def look(*arguments: object):
        few = ("--cfg-options", "test_dataloader.dataset.length=40")
        return run_tool("look", "gradcam", *arguments, "--device", "cpu", *few)

    networks = []
    for ticket in ("none", "full"):
        model = classifier(toy("classification/toy"), ticket=ticket)
        write_network(model, tmp_path / f"{ticket}.pth")
        networks.append(f"{ticket}={tmp_path / ticket}.pth")
    config, sheet = ROOT / "configs/classification/toy.py", tmp_path / "sheet.png"

    assert look(config, *networks, "--out", sheet)[0] == 0
    found = json.loads(sheet.with_suffix(".json").read_text())
    assert len({image["label"] for image in found["images"]}) == len(found["images"]) == 6
    assert cv2.imread(str(sheet)).shape[1] == 8 + 3 * (192 + 8)
    first = [image["sample"] for image in found["images"]]
    assert look(config, *networks, "--out", sheet, "--seed", 1)[0] == 0
    found = json.loads(sheet.with_suffix(".json").read_text())
    assert [image["sample"] for image in found["images"]] != first

    def black() -> int:  # pixels of the column of images
        return int((cv2.imread(str(sheet))[:, 8 : 8 + 192] == 0).all(axis=2).sum())

    assert black() < 192 * 192
    assert look(config, *networks, "--out", sheet, "--without-images")[0] == 0
    assert 6 * 192 * 192 <= black() < 7 * 192 * 192

    assert look(config, *networks, "--out", sheet, "--samples", 3, 9, "--stage", 1)[0] == 0
    found = json.loads(sheet.with_suffix(".json").read_text())
    assert [image["sample"] for image in found["images"]] == [3, 9]
    cell = found["images"][0]["networks"]["full"]
    assert np.shape(cell["map"]) == (24, 24) and 0 < cell["probability"] <= 1

    other = ROOT / "configs/segmentation/toy.py"
    for wrong, message in (
        ([config, *networks, "--samples", 40], "expected samples from 0 to 39"),
        ([config, *networks, "--stage", 9], "expected a stage from 1 to 3, found 9"),
        ([other, *networks], "expected ImageClassifier as its model, found EncoderDecoder"),
        ([config, networks[0], networks[0]], "a NAME for each CHECKPOINT, found one twice"),
        ([config, f"{networks[0]},b.pth"], "expected one checkpoint for none, found more"),
        ([config, "a.pth"], "expected NAME=CHECKPOINT"),
    ):
        code, _, told = look(*wrong, "--out", sheet)
        assert code == 2 and message in told and told.count("\n") == 1
    assert "as the name of a .png file" in look(config, *networks, "--out", tmp_path / "a.jpg").err
    assert "in a folder that exists" in look(config, *networks, "--out", tmp_path / "no/a.png").err
