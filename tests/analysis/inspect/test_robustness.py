"""Networks are compared under the same noise and on the same corrupted images."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

from ean_transfer.analysis.inspect.perturbations import ConstantNoise, Perturbation, corruptions
from ean_transfer.analysis.inspect.robustness import (
    Curve,
    Robustness,
    draw_robustness,
    robustness,
)
from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS

CONFIG = CONFIGS / "classification" / "toy.py"


@dataclass(frozen=True)
class Watched(Perturbation):
    """Notes which images it gives out."""

    seen: list = field(default_factory=list)

    def images(self, images, level, seed, first=0):
        self.seen.append((level, first, len(images)))
        return [image // 2 ** (level + 1) for image in images]


def classifier(cfg, ticket: str):
    """Trained a bit, so that not all images are of one class."""
    set_ticket(cfg, ticket)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        inputs = model.data_preprocessor(batches_of(cfg, 12)[0])["inputs"]
        for _ in range(20):
            model.train()(inputs)
        model.head.fc.weight.mul_(10)
        model.head.fc.bias.sub_(model.eval()(inputs).mean(dim=0))
    return model


def batches_of(cfg, size: int) -> list[dict]:
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    return [
        pseudo_collate([dataset[place] for place in range(first, min(first + size, 12))])
        for first in range(0, 12, size)
    ]


def test_accuracy_is_of_the_same_images_for_all(toy) -> None:
    cfg = toy("classification/toy")
    nets = {ticket: classifier(cfg, ticket) for ticket in ("none", "full")}
    darker = Watched("darker", "bits", (1, 2))
    networks = {"none": [nets["none"]], "several": [nets["full"], nets["none"]]}
    result = robustness(networks, batches_of(cfg, 8), [darker])
    assert darker.seen == [(0, 0, 8), (1, 0, 8), (0, 8, 4), (1, 8, 4)]  # once for all networks
    assert (result.images, result.classes) == (12, 6)

    (whole,) = batches_of(cfg, 12)
    labels = torch.cat([sample.gt_label for sample in whole["data_samples"]])
    curve = result.curves[0]
    for number, net in enumerate(networks["several"]):
        expected = []
        for divisor in (1, 2, 4):
            images = [image // divisor for image in whole["inputs"]]
            logits = net(net.data_preprocessor({"inputs": images})["inputs"])
            expected.append(100 * float((logits.argmax(dim=1) == labels).double().mean()))
        measured = [result.clean["several"][number], *curve.means("several")[number]]
        assert measured == pytest.approx(expected)
    assert curve.accuracy["none"][0] == curve.accuracy["several"][1]


def test_numbers_do_not_depend_on_the_batch_size_or_the_other_networks(toy) -> None:
    cfg = toy("classification/toy")
    nets = {ticket: [classifier(cfg, ticket)] for ticket in ("none", "full")}
    everything = [ConstantNoise("noise", "", (0.1, 0.4), draws=2), *corruptions(24)[:2]]
    together = robustness(nets, batches_of(cfg, 12), everything, seed=3)
    alone = robustness({"full": nets["full"]}, batches_of(cfg, 5), everything, seed=3)
    for one, other in zip(together.curves, alone.curves, strict=True):
        assert one.accuracy["full"] == other.accuracy["full"]
        assert np.shape(one.accuracy["full"]) == ((1, 2, 2) if one.name == "noise" else (1, 5, 1))
    strong = together.curves[0].accuracy["full"][0][1]
    assert strong[0] != strong[1]  # drawn anew


def test_images_that_cannot_be_corrupted_or_scored_are_refused(toy) -> None:
    cfg = toy("classification/toy")
    networks = {"none": [classifier(cfg, "none")]}
    batches = batches_of(cfg, 6)
    batches[1]["data_samples"][2].set_gt_label([0, 1])
    with pytest.raises(ConfigError, match=r"one label each, found \[0, 1\]"):
        robustness(networks, batches, [])
    batches[0]["inputs"][3] = batches[0]["inputs"][3].float()
    with pytest.raises(ConfigError, match=r"uint8, found torch\.float32"):
        robustness(networks, batches, [])


@pytest.mark.slow
def test_many_networks_are_told_apart_and_all_stand_in_the_legend(tmp_path, monkeypatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    names = [f"network of seed {number}" for number in range(12)]
    curve = Curve("blur", "pixels", (1.0,), {name: [[[50.0]]] for name in names})
    draw_robustness(Robustness(9, 2, {name: [60.0] for name in names}, 5 * [curve]), tmp_path)
    (figure,) = figures
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.x1
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].get_lines()}
    assert len(looks) == 12 + 1  # and chance


def test_tool_draws_seeds(tmp_path: Path, run_tool) -> None:
    for ticket in ("none", "full"):
        write_network(classifier(load_config(CONFIG), ticket), tmp_path / f"{ticket}.pth")
    none, full = f"none={tmp_path}/none.pth", f"full={tmp_path}/full.pth,{tmp_path}/full.pth"

    def look(config: Path):
        few = ("--images", 4, "--cfg-options", "test_dataloader.dataset.length=12")
        out = ("--out", tmp_path / "a.png", "--device", "cpu")
        return run_tool("inspect", "robustness", config, none, full, *out, *few)

    done = look(CONFIG)
    assert done.code == 0
    assert done.out.count("JPEG compression") == 2 and "full: clean" in done.out
    numbers = json.loads((tmp_path / "a.json").read_text())
    assert numbers["images"] == 4 and len(numbers["curves"]) == 7
    assert len(numbers["clean"]["full"]) == len(numbers["checkpoints"]["full"]) == 2
    assert imread(tmp_path / "a.png").shape[1] > 1500
    refused = look(CONFIGS / "crowd_counting/toy.py")
    assert refused.code == 2 and "expected ImageClassifier as its model" in refused.err
