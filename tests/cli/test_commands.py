"""The command line tools, as processes: what a person at the terminal sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT

TINY = [
    "--cfg-options",
    "train_dataloader.dataset.length=64",
    "val_dataloader.dataset.length=20",
    "test_dataloader.dataset.length=20",
    "train_cfg.max_epochs=1",
]


def run(tool: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"tools/{tool}.py", *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )


@pytest.mark.slow
def test_train_then_test(tmp_path: Path) -> None:
    trained = run("train", "configs/classification/toy.py", "--ticket", "full", "--work-dir",
                  tmp_path, *TINY)  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    checkpoint = tmp_path / "epoch_1.pth"
    tested = run("test", "configs/classification/toy.py", checkpoint, "--work-dir", tmp_path / "t",
                 "--cfg-options", "test_dataloader.dataset.length=20")  # fmt: skip
    assert tested.returncode == 0, tested.stderr
    assert tested.stdout.splitlines()[-1].startswith("accuracy/top1: ")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--ticket", "{bad}"], "expected a ticket in JSON"),
        (["--ticket", "zoo:ean-sge-resnet50"], "is for resnet50 (3-4-6-3"),
        (["--ticket", "zoo:nothing"], "no ticket 'nothing' in the zoo"),
        (["--cfg-options", "model.backbone.attention.type=SEE"], "unknown attention 'SEE'"),
        (["--cfg-options", "model.backbone.attention.reduction=3"], "reduction=3 does not divide"),
        (
            ["--amp", "--cfg-options", "optim_wrapper.type=Other"],
            "--amp replaces OptimWrapper, but the config has Other",
        ),
        (["--weights", "gone.pth"], "gone.pth: no such checkpoint"),
        (["--cfg-options", "foo"], "expected --cfg-options KEY=VALUE ..., found foo"),
        (["--cfg-options", "a=[1,"], "expected --cfg-options KEY=VALUE ..., found a=[1,"),
        (["--cfg-options", "model.backbone.dpeth=50"], "unexpected keyword argument 'dpeth'"),
        (["--cfg-options", "model.type=Foo"], "does not fit: Foo is not in the mmengine::model"),
        (["--cfg-options", "train_cfg.max_epoch=1"], "EpochBasedTrainLoop.__init__() got an unexp"),
    ],
)
def test_bad_input_is_one_line_and_no_traceback(
    run_tool, tmp_path: Path, args: list[str], message: str
) -> None:
    (tmp_path / "bad.json").write_text("{not json")
    args = [arg.format(bad=tmp_path / "bad.json") for arg in args]
    config = ROOT / "configs" / "classification" / "toy.py"
    done = run_tool("train", config, "--work-dir", tmp_path / "w", *args)
    assert done.code == 2
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert "Traceback" not in done.err + done.out


def test_a_missing_data_folder_is_named(run_tool, tmp_path: Path) -> None:
    config = ROOT / "configs" / "crowd_counting" / "resnet20_se_cells_short.py"
    options = ("--cfg-options", f"train_dataloader.dataset.data_root={tmp_path}/no")
    done = run_tool("train", config, "--work-dir", tmp_path, *options)
    assert done.code == 2 and "Traceback" not in done.err
    assert f"error: {tmp_path}/no: expected a folder" in done.err


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "one"])
@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("train", ["CONFIG"]),
        ("search", ["CONFIG"]),
        ("study", ["CONFIG"]),
        ("look", ["similarity", "CONFIG", "a=a.pth", "--out", "a.png"]),
        ("dataset", ["augment", "CONFIG", "--out", "a.png"]),
        ("asr", ["report", "CONFIG", "a.pth"]),
        ("asr", ["folded", "CONFIG", "a=a.pth"]),
        ("ticket", ["convert", "random", "--backbone", "resnet50"]),
    ],
)
def test_seeds_that_numpy_does_not_take_are_one_line(
    run_tool, tool: str, args: list[str], seed: object
) -> None:
    done = run_tool(tool, *args, "--seed", seed)
    message = f"argument --seed: expected a whole number from 0 to 4294967295, found {seed} (see"
    assert done.code == 2 and done.err.startswith(f"error: {message}")
    assert done.err.count("\n") == 1
