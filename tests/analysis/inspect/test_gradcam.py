"""Grad-CAM is its formula, on every backbone, and leaves the network as it was."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

from ean_transfer import Ticket
from ean_transfer.analysis.inspect.gradcam import SIDE, explain, grad_cam, gradcam_sheet, overlay
from ean_transfer.backbones import TicketPreResNetCIFAR
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.visualization.sheet import GAP, LINE
from tests.helpers import CONFIGS

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
        explained = explain(model, batch, target)
        maps = grad_cam(model, inputs, chosen).numpy()
        np.testing.assert_allclose([one.map for one in explained], maps)
        assert [one.predicted for one in explained] == classes["predicted"].tolist()
        expected = probabilities[range(8), chosen].tolist()
        assert [one.of_target for one in explained] == pytest.approx(expected)
    with pytest.raises(ConfigError, match="target: .* found 'x'"):
        explain(model, batch, "x")


def test_colours_lie_where_the_map_is_large() -> None:
    image = np.full((8, 8, 3), (10, 100, 200), dtype=np.uint8)
    nothing = overlay(image, np.zeros((2, 2)))
    assert (nothing == nothing[0, 0, 0]).all()  # grey
    evidence = np.array([[0.0, 0.0], [0.0, 3.0]])
    shown = overlay(image, evidence)
    assert (shown[0, 0] == nothing[0, 0]).all() and (shown[7, 7] != nothing[7, 7]).all()
    assert (overlay(image, 5 * evidence) == shown).all()  # scaled to its largest value


def test_missing_captum_wrong_stages_and_other_backbones_are_refused(toy, monkeypatch) -> None:
    model = classifier(toy("classification/toy"), ticket="none")
    for stage in (0, 4):
        with pytest.raises(ConfigError, match=f"from 1 to 3, found stage {stage}"):
            grad_cam(model, IMAGES, TARGETS, stage)
    model.backbone = torch.nn.Identity()
    with pytest.raises(ConfigError, match="backbone of residual stages, .* found Identity, whose"):
        grad_cam(model, IMAGES, TARGETS)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ConfigError, match=r'pip install -e ".\[inspect\]"'):
        grad_cam(model, IMAGES, TARGETS)


class Repeated(BaseTransform):
    """Makes every second image several times as high."""

    def transform(self, results):
        results["img"] = results["img"].repeat(1 + 5 * (results["sample_idx"] % 2), axis=0)
        return results


def test_images_of_several_sizes_are_explained_as_if_each_was_alone(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    cfg.test_dataloader.dataset.pipeline.insert(0, dict(type=Repeated))
    networks = {"full": tmp_path / "full.pth"}
    write_network(classifier(cfg, ticket="full"), networks["full"])
    _, numbers = gradcam_sheet(cfg, networks, [2, 3], device="cpu")
    shapes = [np.shape(one["networks"]["full"]["map"]) for one in numbers["images"]]
    assert shapes == [(6, 6), (36, 6)]
    for row, place in enumerate((2, 3)):
        _, alone = gradcam_sheet(cfg, networks, [place], device="cpu")
        assert alone["images"] == [numbers["images"][row]]


def test_a_sheet_of_slim_images_has_a_legend_of_its_width(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    cfg.test_dataloader.dataset.pipeline.insert(0, dict(type=Repeated))
    write_network(classifier(cfg, ticket="full"), tmp_path / "full.pth")
    sheet, _ = gradcam_sheet(cfg, {"full": tmp_path / "full.pth"}, [3], device="cpu")
    assert sheet.shape[:2] == (GAP + LINE + SIDE + LINE + GAP + LINE, 3 * GAP + 2 * SIDE // 6)


def test_tool_draws_a_sheet_of_networks(toy, tmp_path: Path, run_tool) -> None:
    networks = []
    for ticket in ("none", "full"):
        model = classifier(toy("classification/toy"), ticket=ticket)
        write_network(model, tmp_path / f"{ticket}.pth")
        networks.append(f"{ticket}={tmp_path / ticket}.pth")
    sheet = tmp_path / "sheet.png"

    def look(*options: object, config: Path = CONFIGS / "classification/toy.py"):
        few = ("--cfg-options", "test_dataloader.dataset.length=40")
        arguments = (config, *networks, "--device", "cpu", "--out", sheet)
        return run_tool("inspect", "gradcam", *arguments, *options, *few)

    def drawn(*options: object) -> tuple[list[dict], int]:
        """The numbers of each image, and the black pixels of the column of images."""
        assert look(*options).code == 0
        black = (cv2.imread(str(sheet))[:, 8 : 8 + 192] == 0).all(axis=2).sum()
        return json.loads(sheet.with_suffix(".json").read_text())["images"], int(black)

    images, black = drawn()
    assert len({image["label"] for image in images}) == len(images) == 6
    assert cv2.imread(str(sheet)).shape[1] == 8 + 3 * (192 + 8)
    assert black < 192 * 192
    others, black = drawn("--seed", 1, "--without-images")
    assert [image["sample"] for image in others] != [image["sample"] for image in images]
    assert 6 * 192 * 192 <= black < 7 * 192 * 192
    images, _ = drawn("--samples", 3, 9, "--stage", 1)
    assert [image["sample"] for image in images] == [3, 9]
    network = images[0]["networks"]["full"]
    assert np.shape(network["map"]) == (24, 24) and 0 < network["probability"] <= 1

    for refused, message in (
        (look("--samples", 40), "expected samples from 0 to 39"),
        (look("--stage", 9), "from 1 to 3, found"),
        (look(config=CONFIGS / "segmentation/toy.py"), "ImageClassifier as its model, found Enco"),
    ):
        assert refused.code == 2 and message in refused.err and refused.err.count("\n") == 1
