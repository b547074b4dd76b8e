"""``fold`` as its user meets it: reports, comparisons, and what is refused before the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS

from ean_transfer.analysis.scoring import metric_on
from ean_transfer.attachment.network import masked
from ean_transfer.attachment.parameters import attention_parameters
from ean_transfer.engine.config import set_ticket_of
from ean_transfer.engine.weights import write_network
from ean_transfer.supernet import find_backbone


@pytest.fixture
def trained(toy, tmp_path: Path) -> Callable[..., tuple[Path, Path, Any]]:
    """Makes a toy config and the checkpoint of a network with attention everywhere."""

    def make(**backbone: Any) -> tuple[Path, Path, Any]:
        cfg = toy("classification/toy", **{"test_dataloader.dataset.length": 20})
        cfg.model.backbone.update(ticket="full", zero_init_residual=False, **backbone)
        torch.manual_seed(0)
        checkpoint, config = tmp_path / "net.pth", tmp_path / "cfg.py"
        write_network(MODELS.build(cfg.model), checkpoint)
        cfg.dump(config)
        return config, checkpoint, cfg

    return make


def test_report_proposes_verifies_and_saves(run_tool, trained, tmp_path: Path) -> None:
    config, checkpoint, cfg = trained(asr="before")
    out, save = tmp_path / "r.json", tmp_path / "p.pth"
    typed = ("report", config, checkpoint, "--choose-on", "train", "--images", 8, "--budget", 100)
    done = run_tool("fold", *typed, "--out", out, "--save", save)
    assert done.code == 0, done.err
    assert "test, as trained" in done.out and "proposed" in done.out
    report = json.loads(out.read_text())
    assert report["chosen_on"] == "train" and report["images"] == 8
    assert len(report["blocks"]) == 6 and set(report["proposal"].values()) <= {"drop", "fold"}
    assert set(report["test"]) == {"as trained", "proposed", "all folded", "all dropped"}
    # The written network is the proposed one, whatever the config says of attention.
    set_ticket_of(cfg, save)
    model = MODELS.build(cfg.model)
    assert find_backbone(model).ticket.is_plain
    model.load_state_dict(torch.load(save, weights_only=True)["state_dict"])
    # An earlier proposal may be replaced; with --json only JSON is on standard output.
    again = run_tool("fold", *typed, "--json", "--save", save)
    assert json.loads(again.out) == report and "test, as trained" in again.err


@pytest.mark.parametrize(
    ("task", "metric", "sign"), [("segmentation", "mIoU", 1.0), ("crowd_counting", "MAE", -1.0)]
)
def test_connections_of_any_tasks_supernet_are_judged_by_its_metric(
    toy, run_tool, tmp_path: Path, task: str, metric: str, sign: float
) -> None:
    cfg = toy(f"{task}/toy_supernet", **{"test_dataloader.dataset.length": 20})
    torch.manual_seed(0)
    model: Any = MODELS.build(cfg.model)
    network = find_backbone(model)
    with torch.no_grad():
        for parameter in attention_parameters(model):
            parameter.add_(torch.randn_like(parameter))
    checkpoint, config, out = tmp_path / "net.pth", tmp_path / "cfg.py", tmp_path / "r.json"
    write_network(model, checkpoint)
    cfg.dump(config)
    options = ["--metric", metric, *(["--lower-is-better"] if sign < 0 else []), "--budget", 0.5]
    files = ["--out", out, "--save", tmp_path / "proposed.pth"]
    done = run_tool("fold", "report", config, checkpoint, "--images", 8, *options, *files)
    assert done.code == 0, done.err
    report = json.loads(out.read_text())

    held_out, test = metric_on(cfg, "val", metric, 8, seed=0), metric_on(cfg, "test", metric)
    base = held_out(model)
    assert report["metric_on_them"] == pytest.approx(base)
    lost = []
    for block in range(network.ticket.num_blocks):
        with masked(model, [other != block for other in range(network.ticket.num_blocks)]):
            lost.append(sign * (base - held_out(model)))
    assert [block["drop"] for block in report["blocks"]] == pytest.approx(lost, abs=1e-4)
    assert len({round(value, 4) for value in lost}) > 1  # the connections matter
    assert report["lost"] <= 0.5 and report["test"]["as trained"] == pytest.approx(test(model))

    set_ticket_of(cfg, tmp_path / "proposed.pth")
    proposed = MODELS.build(cfg.model)
    state = torch.load(tmp_path / "proposed.pth", weights_only=True)["state_dict"]
    proposed.load_state_dict(state)
    assert test(proposed) == pytest.approx(report["test"]["proposed"], abs=1e-4)


@pytest.mark.parametrize(("asked", "used"), [(8, 8), (10**6, 64)])
def test_the_number_of_images_written_is_that_of_those_used(
    run_tool, trained, tmp_path: Path, asked: int, used: int
) -> None:
    config, checkpoint, _ = trained(asr="before")
    out = tmp_path / "f.json"
    run_tool("fold", "folded", config, f"a={checkpoint}", "--images", asked, "--out", out)
    assert json.loads(out.read_text())["images"] == used


def test_networks_as_trained_and_folded(run_tool, trained, tmp_path: Path) -> None:
    config, checkpoint, _ = trained(asr="before")
    out = tmp_path / "f.json"
    networks = f"both={checkpoint},{checkpoint}"
    done = run_tool("fold", "folded", config, networks, "--images", 8, "--out", out)
    assert done.code == 0 and "both: as trained " in done.out
    scores = json.loads(out.read_text())["networks"]["both"]
    assert set(scores) == {"as trained", "ASR folded", "all folded", "kept dropped"}
    assert all(len(values) == 2 and values[0] == values[1] for values in scores.values())
    assert scores["as trained"] == scores["ASR folded"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            (["--budget", text], f"--budget: expected a number >= 0, found {text}")
            for text in ("-1", "0,5", "nan")
        ),
        (["--images", "1"], "--images: expected a whole number >= 2, found 1"),
        (["--device", "nothing"], "found nothing"),
        (["--save", "gone/p.pth"], "--save: expected a file in a folder that exists, found gone/"),
        (["--out", "."], "--out: expected a file in a folder that exists, found the folder ."),
        (["--out", "gone/r.json"], "--out: expected a file in a folder that exists, found gone/"),
        (["--save", "{checkpoint}"], "net.pth: expected a new file or that of an earlier report"),
        (["--lower-is-better"], "accuracy/top1 is better where it is higher: leave out"),
        (["--metric", "MAE"], "MAE is an error: give --lower-is-better"),
        (["--metric", "own"], "--metric own: its name does not say which way is better: give --hi"),
        (["--metric", "own", "--higher-is-better"], "no attention to choose about"),
        ([], "no attention to choose about, its ticket is 00 00 00 asr 11 11 11"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_before_the_work(
    run_tool, trained, options: list[str], message: str
) -> None:
    config, checkpoint, _ = trained(asr=True)
    typed = (option.format(checkpoint=checkpoint) for option in options)
    done = run_tool("fold", "report", config, checkpoint, "--choose-on", "train", *typed)
    assert done.code == 2 and message in done.err
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
