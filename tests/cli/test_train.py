"""``train`` and ``test`` as their user meets them: a whole run, and bad input in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ean_transfer.io.files import locked
from tests.helpers import CONFIGS, ROOT

TOY = CONFIGS / "classification" / "toy.py"


def process(tool: str, *arguments: object) -> str:
    """Run a tool in a process of its own; its output."""
    done = subprocess.run(
        [sys.executable, f"tools/{tool}.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_train_then_test(tmp_path: Path) -> None:
    lengths = [f"{part}_dataloader.dataset.length=20" for part in ("train", "val", "test")]
    changes = ("--cfg-options", *lengths, "train_cfg.max_epochs=1")
    said = process("train", TOY, "--ticket", "full", "--work-dir", tmp_path, *changes)
    assert said.splitlines()[-1].endswith(f"ean test {tmp_path}/toy.py {tmp_path}/epoch_1.pth")
    checkpoint, folder = tmp_path / "epoch_1.pth", tmp_path / "test"
    tested = process("test", TOY, checkpoint, "--work-dir", folder, "--cfg-options", lengths[2])
    metrics, sheet = tested.splitlines()[-2:]
    assert metrics.startswith("accuracy/top1: ") and sheet.endswith("worst_and_best.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ticket", "{bad}"], ["bad.json", "JSON"]),
        (["--ticket", "zoo:ean-sge-resnet50"], ["resnet50", "3-4-6-3"]),
        (["--ticket", "zoo:nothing"], ["nothing", "zoo"]),
        (["--amp", "--cfg-options", "optim_wrapper.type=Other"], ["--amp", "Other"]),
        (["--weights", "gone.pth"], ["gone.pth: no such checkpoint"]),
        (["--cfg-options", "foo"], ["--cfg-options: expected KEY=VALUE, found foo"]),
        (["--cfg-options", "a=[1,"], ["--cfg-options", "a=[1,"]),
        (["--cfg-options", "model.backbone.attention.type=SEE"], ["'SEE'"]),
        (["--cfg-options", "model.backbone.attention.reduction=3"], ["reduction", "3"]),
        (["--cfg-options", "model.backbone.dpeth=50"], ["toy.py", "'dpeth'"]),
        (["--cfg-options", "model.type=Foo"], ["toy.py", "Foo"]),
        (["--cfg-options", "train_cfg.max_epoch=1"], ["toy.py", "'max_epoch'"]),
        (["--cfg-options", "train_dataloader.batchsize=1"], ["toy.py", "'batchsize'"]),
        (["--cfg-options", "optim_wrapper.optimizer.lrr=1"], ["toy.py", "'lrr'"]),
        (["--cfg-options", "default_hooks.ticket.typo=1"], ["toy.py", "TicketHook"]),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_no_traceback(
    run_tool, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "bad.json").write_text("{not json")
    typed = [argument.format(bad=tmp_path / "bad.json") for argument in arguments]
    done = run_tool("train", TOY, "--work-dir", tmp_path / "w", *typed)
    last = done.err.strip().splitlines()[-1]
    assert done.code == 2 and last.startswith("error: ")
    assert all(word in last for word in words), last
    assert "Traceback" not in done.err + done.out


def test_a_missing_data_folder_is_named(run_tool, tmp_path: Path) -> None:
    config = CONFIGS / "crowd_counting" / "resnet20_se_cells_short.py"
    changes = ("--cfg-options", f"train_dataloader.dataset.data_root={tmp_path}/no")
    done = run_tool("train", config, "--work-dir", tmp_path, *changes)
    assert done.code == 2 and f"error: {tmp_path}/no: " in done.err


def test_another_trainings_work_dir_is_refused(run_tool, tmp_path: Path) -> None:
    (tmp_path / "last_checkpoint").write_text("epoch_1.pth")
    done = run_tool("train", TOY, "--work-dir", tmp_path)
    assert done.code == 2 and str(tmp_path) in done.err and "--resume" in done.err


@pytest.mark.parametrize(("command", "name"), [("train", "toy"), ("search", "toy_search")])
def test_two_commands_do_not_share_a_work_dir(
    run_tool, tmp_path: Path, command: str, name: str
) -> None:
    with locked(tmp_path, wait=False):  # as another process has it
        done = run_tool(command, TOY.with_stem(name), "--work-dir", tmp_path)
    assert done.code == 2 and "another process works in this folder" in done.err


@pytest.mark.parametrize("options", [[], ["--tta"]])
def test_test_time_augmentation_is_set_where_it_is_asked_for(
    run_tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str]
) -> None:
    changed = []
    monkeypatch.setattr("ean_transfer.segmentation.tta.set_tta", changed.append)
    monkeypatch.setattr("ean_transfer.engine.training.evaluate", lambda *_, **__: {"mIoU": 12.5})
    (tmp_path / "net.pth").touch()
    done = run_tool("test", CONFIGS / "segmentation" / "toy.py", tmp_path / "net.pth", *options)
    assert (done.code, done.out) == (0, "mIoU: 12.5 %\n")
    assert len(changed) == len(options)


@pytest.mark.parametrize("is_main", [True, False])
def test_metrics_that_are_no_single_number_are_printed_and_once(
    run_tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_main: bool
) -> None:
    metrics = {"accuracy": torch.tensor(50.0), "of_classes": [1.5, 2], "matrix": torch.eye(2)}
    monkeypatch.setattr("ean_transfer.engine.training.evaluate", lambda *_, **__: metrics)
    monkeypatch.setattr("mmengine.dist.is_main_process", lambda: is_main)
    (tmp_path / "net.pth").touch()
    done = run_tool("test", TOY, tmp_path / "net.pth")
    lines = ["accuracy: 50 %", "of_classes: [1.5, 2]", "matrix: [[1.0, 0.0], [0.0, 1.0]]"]
    assert (done.code, done.out.splitlines()) == (0, lines if is_main else [])
