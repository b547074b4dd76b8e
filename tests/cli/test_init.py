"""ean init writes configs that load, build and, with ean run, lead to a ticket."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import pytest
from mmengine.registry import DATASETS, MODELS

from ean_transfer.attachment.network import find_backbone
from ean_transfer.engine.config import load_config
from ean_transfer.project.minutes import FEWEST_ITERATIONS, FEWEST_STEPS
from ean_transfer.study.plan import StudyPlan
from ean_transfer.ticket import Ticket
from tests.project.data import MAKERS, NUMBER

NETWORK = ("--network", "timm:test_resnet", "--weights", "none")


@pytest.fixture(params=MAKERS)
def task(request) -> str:
    return request.param


def test_the_configs_are_short_and_build(task: str, tmp_path: Path, run_tool) -> None:
    data, out = MAKERS[task](tmp_path / "data"), tmp_path / "mine"
    options = ("--attention", "ECA", "--seeds", "3")
    done = run_tool("init", task, data, "--out-dir", out, *NETWORK, *options)
    assert (done.code, done.err) == (0, "") and f"ean run {out}" in done.out
    assert ", 3 seeds;" in done.out
    plan = StudyPlan.from_config(load_config(out / "study.py"))
    assert plan.seeds == (0, 1, 2)
    claims = [claim.sentence(plan.quality(claim)) for claim in plan.claims]
    margin = 0.03 if task == "counting" else 0.5  # a hundredth of 3 objects, half a point
    assert claims[0].startswith("ticket is better than none, in ")
    assert claims[1].startswith(f"ticket is as good as full within {margin}, in ")
    lines = (out / "train.py").read_text().partition("import *")[2].split("\n")
    assert len([line for line in lines if line]) <= 20
    parts = {}
    for name in ("train", "supernet", "search"):
        cfg = load_config(out / f"{name}.py")
        backbone = find_backbone(MODELS.build(cfg.model))
        assert "resnet" in backbone.ticket.backbone.name and all(backbone.mask)
        for loader in ("train_dataloader", "val_dataloader"):
            files = DATASETS.build(cfg[loader].dataset)
            parts[name, loader] = {files.get_data_info(i)["img_path"] for i in range(len(files))}
            assert files[0]["inputs"].ndim == 3
        if task == "counting":  # about 3 objects in 100 x 80 pixels, in cells of 4 x 4, times 100
            assert 0.4 < cfg.model["head"]["initial"] < 0.8
        if name != "train":
            assert cfg.val_dataloader.batch_size > 1  # normalised together
            assert len({files[i]["inputs"].shape for i in range(len(files))}) == 1
    trained, tested = (parts["train", f"{part}_dataloader"] for part in ("train", "val"))
    supernet, scored = (parts["search", f"{part}_dataloader"] for part in ("train", "val"))
    assert trained == supernet | scored and not supernet & scored and not trained & tested
    assert len(trained | tested) == NUMBER


def test_uneven_classes_have_weights_in_the_loss(tmp_path: Path, run_tool) -> None:
    uneven = MAKERS["classification"](tmp_path / "colours", 40)
    for file in sorted((uneven / "red").iterdir())[5:]:
        file.unlink()
    weights = {}
    for task, data in (
        ("classification", uneven),
        ("segmentation", MAKERS["segmentation"](tmp_path / "things")),
    ):
        assert run_tool("init", task, data, "--out-dir", tmp_path / task, *NETWORK).code == 0
        model = load_config(tmp_path / task / "train.py").model
        built = MODELS.build(model)
        loss = built.head.loss_module if task == "classification" else built.decode_head.loss_decode
        weights[task] = loss.class_weight
    # Square roots of the mean number of images, 12.5, over 20 and 5.
    assert weights["classification"] == [round(0.625**0.5, 2), round(2.5**0.5, 2)]
    ground, thing = weights["segmentation"]
    assert 0 < ground < 1 < thing


@pytest.mark.slow
def test_a_project_runs_to_a_ticket_and_is_not_run_twice(
    task: str, tmp_path: Path, run_tool
) -> None:
    data, out = MAKERS[task](tmp_path / "data"), tmp_path / "mine"
    assert run_tool("init", task, data, "--out-dir", out, *NETWORK, "--seeds", "2").code == 0
    for name in ("train", "supernet", "search"):
        file = out / f"{name}.py"
        iterations = "max_iters = 4\ntrain_cfg.update(max_iters=4, val_interval=4)\n"
        more = "search.update(steps=2, last_steps=1)\n" if name == "search" else iterations
        file.write_text(file.read_text() + more)
    done = run_tool("run", out)
    assert done.code == 0, done.err
    ticket = Ticket.load(out / "run" / "ticket.json")
    assert "resnet" in ticket.backbone.name
    assert (out / "run" / "network.pth").is_file()
    summary = json.loads((out / "run" / "search" / "verdict.json").read_text())["summary"]
    assert summary in done.out and summary in (out / "run" / "index.html").read_text()
    assert "ticket is better than none, in " in done.out
    assert "trainings left" in done.out and "trainings left" not in run_tool("run", out).out


def test_options_of_the_check_make_a_data_set(tmp_path: Path, run_tool) -> None:
    data, out = MAKERS["segmentation"](tmp_path / "data"), tmp_path / "mine"
    for file in (data / "labels").iterdir():
        labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        labels[:9] = 11
        cv2.imwrite(str(file), labels)
    options = ("--data-option", "ignore=11", "--data-option", "num_classes=2")
    done = run_tool("init", "segmentation", data, "--out-dir", out, *NETWORK, *options)
    assert done.code == 0, done.err
    sample = DATASETS.build(load_config(out / "train.py").val_dataloader.dataset)[0]
    labels = sample["data_samples"].gt_sem_seg.data.numpy()
    assert (labels[0, :9] == 255).all() and set(labels.flat) == {0, 1, 255}


def test_what_is_typed_wrongly_is_said(tmp_path: Path, run_tool) -> None:
    task = "classification"
    data, out = MAKERS[task](tmp_path / "data"), tmp_path / "mine"
    for changes, message in (
        ([task, tmp_path / "nothing"], "found no such folder"),
        ([task, data, "--network", "resnet50"], "expected timm:NAME, torchvision:NAME or tra"),
        ([task, data, "--network", "timm:resnet5"], "did you mean"),
        ([task, data, "--weights", tmp_path / "gone.pth"], "gone.pth: no such checkpoint"),
        ([task, data, "--minute", "5"], "did you mean --minutes?"),
        (["clasification", data], "did you mean classification?"),
        ([task, data, "--attention", "SEE"], "unknown attention"),
        ([task, data, "--minutes", "0"], "argument --minutes: expected a number above 0, found 0"),
        ([task, data, "--budget", "latency < 5 %"], "latency"),
    ):
        done = run_tool("init", *changes, "--out-dir", out)
        assert done.code == 2 and message in done.err and done.err.count("\n") == 1, done.err
        assert not out.exists()
    assert run_tool("init", task, data, "--out-dir", out, *NETWORK).code == 0
    again = run_tool("init", task, data, "--out-dir", out, *NETWORK)
    assert again.code == 2 and "expected a new folder, found train.py" in again.err
    done = run_tool("run", tmp_path)
    assert done.code == 2 and "found no study.py" in done.err
    inside = run_tool("init", task, data, "--out-dir", data / "mine")
    assert inside.code == 2 and "outside of the data's" in inside.err


def test_a_project_finds_its_weights_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_tool
) -> None:
    data, out = MAKERS["classification"](tmp_path / "data"), tmp_path / "mine"
    (tmp_path / "net.pth").touch()
    monkeypatch.chdir(tmp_path)
    network = ("--network", "timm:test_resnet", "--weights", "net.pth")
    assert run_tool("init", "classification", data, "--out-dir", out, *network).code == 0
    assert load_config(out / "train.py").model["backbone"]["weights"] == str(tmp_path / "net.pth")


def test_a_copy_of_a_project_is_a_project_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_tool
) -> None:
    data, out = MAKERS["classification"](tmp_path / "data"), tmp_path / "mine"
    assert run_tool("init", "classification", data, "--out-dir", out, *NETWORK).code == 0
    copy = out.rename(tmp_path / "it's {another} 100%")
    monkeypatch.chdir(copy)
    plan = StudyPlan.from_config(load_config("study.py"))
    configs = [*plan.search_configs.values(), *(task.config for task in plan.tasks.values())]
    assert configs == [str(copy / "search.py"), str(copy / "train.py")]
    for config in configs:
        cfg = load_config(config)
        for loader in ("train_dataloader", "val_dataloader"):
            assert Path(cfg[loader].dataset.split).parent == copy / "splits"


def test_a_length_that_is_edited_moves_the_schedule_with_it(tmp_path: Path, run_tool) -> None:
    data, out = MAKERS["counting"](tmp_path / "data"), tmp_path / "mine"
    assert run_tool("init", "counting", data, "--out-dir", out, *NETWORK).code == 0
    file = out / "train.py"
    file.write_text(re.sub(r"^max_iters = \d+", "max_iters = 4000", file.read_text(), flags=re.M))
    cfg = load_config(file)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == 4000
    assert cfg.custom_hooks[1].begin == 3400


def test_the_datas_folder_may_have_any_name(tmp_path: Path, run_tool) -> None:
    folder = tmp_path / 'it\'s "my" \\users """data"""'
    data, out = MAKERS["counting"](folder), tmp_path / "my project"
    done = run_tool("init", "counting", data, "--out-dir", out, *NETWORK)
    assert done.code == 0, done.err
    for text in (done.out, (out / "study.py").read_text()):  # to be typed as it stands
        assert f"ean run '{out}'" in text
    for name in ("train", "supernet", "search", "study"):
        load_config(out / f"{name}.py")
    assert load_config(out / "study.py").title.startswith(folder.name)


def test_a_schedule_for_some_minutes_is_timed_here(tmp_path: Path, run_tool) -> None:
    data, out = MAKERS["segmentation"](tmp_path / "data"), tmp_path / "mine"
    done = run_tool("init", "segmentation", data, "--out-dir", out, *NETWORK, "--minutes", "0.001")
    assert done.code == 0, done.err
    assert re.search(r"an iteration takes \d+\.\d\d s here", done.out)
    assert "--minutes 0.001" in done.err and done.err.count("\n") == 1  # says what it will take
    assert re.search(rf"{FEWEST_ITERATIONS} iterations .* \d+(\.\d+)? minutes$", done.err.strip())
    assert load_config(out / "train.py").train_cfg.max_iters == FEWEST_ITERATIONS
    assert load_config(out / "search.py").search.steps == FEWEST_STEPS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "mine"]
