"""``ean benchmark model`` as its user meets it; what it measures: tests/search/cost."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from mmengine.registry import MODELS
from PIL import Image

from ean_transfer import attach
from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.search.cost.counting import count_parameters
from tests.helpers import CONFIGS

QUICK = ("--size", "32", "--rounds", "2", "--batch", "2")
SE = ("--attention", "SE", "--option", "reduction=4")


@pytest.fixture
def run(run_tool) -> Any:
    return partial(run_tool, "benchmark", "model")


def test_tickets_become_rows_of_markdown_json_and_a_figure(run, tmp_path: Path) -> None:
    figure, file = tmp_path / "f.png", tmp_path / "b.json"
    code, out, err = run(
        "resnet8_cifar", *SE, "--tickets", "full", "--threads", 1, "--figure", figure,
        "--out", file, *QUICK,
    )  # fmt: skip
    assert (code, err) == (0, "")
    table = [line for line in out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in table] == ["| network", "| none", "| full"]
    assert "threads: 1" in out and "2 x 3 x 32 x 32" in out
    width, height = Image.open(figure).size
    assert 0.35 < height / width < 0.5  # one row of two panels
    data = json.loads(file.read_text())
    names = [(one["network"], one["batch"]) for one in data["results"]]
    assert names == [("none", 2), ("full", 2)] and data["threads"] == torch.get_num_threads() == 1
    forward = data["results"][1]["forward"]["time"]
    assert len(forward["quartiles"]) == len(forward["over_plain_interval"]) == 2


def test_json_is_alone_on_standard_output(run) -> None:
    code, out, err = run("timm:test_resnet", *SE[:2], "--tickets", "none", "--json",
                         "--image-size", "64", *QUICK[2:])  # fmt: skip
    assert code == 0 and "| none" in err
    (one,) = json.loads(out)["results"]
    assert one["network"] == "none" and one["training"]["peak_bytes"] > one["saved_bytes"] > 0


def test_all_networks_have_attention_at_the_places_that_a_ticket_names(run, tmp_path: Path) -> None:
    def ticket(at: str) -> Path:
        body = attach(timm.create_model("test_resnet"), dict(type="SE", reduction=4), at=at)
        return body.ticket.save(tmp_path / f"{at[:6]}.json")

    options = ("timm:test_resnet", *SE, "--without-training", "--json", *QUICK)
    one, other = ticket("layer1.*"), ticket("layer2.*")
    code, out, _ = run(*options, "--tickets", "full", one)
    _, full, of_ticket = json.loads(out)["results"]
    assert code == 0 and full["parameters"] == of_ticket["parameters"]  # of all its places
    code, _, err = run(*options, "--tickets", one, other)
    assert code == 2 and "expected tickets of the same places, found layer1.0" in err


def test_a_configs_whole_model_is_measured(run) -> None:
    change = ("--cfg-options", "model.backbone.depth=8")
    options = ("--tickets", "none", "--json", "--without-training")
    code, out, _ = run("classification/toy", *options, *change, *QUICK)
    cfg = load_config(CONFIGS / "classification/toy.py", {"model.backbone.depth": 8})
    set_ticket(cfg, "none")
    (one,) = json.loads(out)["results"]
    assert code == 0 and one["training"] is None and one["saved_bytes"] is None
    assert one["parameters"] == count_parameters(MODELS.build(cfg.model))


@pytest.mark.slow  # compiles
def test_compiled_networks_are_measured_too(run) -> None:
    options = ("--tickets", "none", "--compile", "--optimize", "--json")
    data = json.loads(run("resnet8_cifar", *options, *QUICK).out)
    names = ["none", "none, optimized", "none, compiled", "none, optimized, compiled"]
    assert [one["network"] for one in data["results"]] == names
    compiled = data["results"][2]
    assert compiled["training"]["time"]["ms"] > 0 and compiled["saved_bytes"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet8_cifar",), ["--attention"]),
        (("nothing",), ["nothing", "ean configs"]),
        (("resnet8_cifar", "--option", "reduction=4", "--tickets", "none"), ["--attention"]),
        (("resnet8_cifar", *SE, "--cfg-options", "a=1"), ["--cfg-options change a config"]),
        (("classification/toy", "--option", "reduction=4"), ["--option", "classification/toy"]),
        (("classification/toy", *SE), ["--attention", "classification/toy"]),
        (("timm:resnet10x", *SE), ["did you mean"]),
        (("resnet8_cifar", *SE, "--tickets", "zoo:ean-se-resnet50"), ["resnet50"]),
        (("resnet8_cifar", *SE, "--device", "nothing"), ["device", "nothing"]),
        (("resnet8_cifar", "--batch", "0"), ["--batch"]),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(run, arguments, words) -> None:
    code, out, err = run(*arguments, *QUICK[:4])
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert all(word in err for word in words)
