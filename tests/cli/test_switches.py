"""The switches of train, search and test: what they set, and one line for nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.cli.main import command_parser
from ean_transfer.cli.switches import read_changed_config
from tests.helpers import CONFIGS

TOY = str(CONFIGS / "classification/toy.py")
CIFAR = str(CONFIGS / "classification/resnet20_se_cifar10_search_short.py")


@pytest.mark.parametrize("command", ["train", "search"])
def test_train_and_search_take_all_of_them(command: str, tmp_path: Path) -> None:
    typed = [CIFAR, "--epochs", "2", "--lr", "0.05", "--batch-size", "16"]
    typed += ["--data", str(tmp_path), "--classes", "cat", "dog"]
    cfg = read_changed_config(command_parser(command, command).parse_args(typed))
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[-1]["end"]) == (2, 2)
    assert cfg.optim_wrapper.optimizer.lr == 0.05
    assert (cfg.train_dataloader.batch_size, cfg.val_dataloader.batch_size) == (16, 250)
    assert cfg.train_dataloader.dataset.dataset.data_root == str(tmp_path)
    assert cfg.model.head.num_classes == 2


def test_test_takes_those_of_the_data() -> None:
    typed = [TOY, "epoch_1.pth", "--batch-size", "3"]
    parsed = command_parser("test", "test").parse_args(typed)
    cfg = read_changed_config(parsed, "test_dataloader")
    assert [cfg[f"{part}_dataloader"].batch_size for part in ("train", "test")] == [32, 3]


def test_a_training_follows_its_switches(run_tool, tmp_path: Path) -> None:
    lengths = [f"{part}_dataloader.dataset.length=16" for part in ("train", "val")]
    switches = ("--epochs", 1, "--batch-size", 4, "--lr", 0.01)
    shown = run_tool("train", TOY, *switches, "--work-dir", tmp_path, "--cfg-options", *lengths)
    assert shown.code == 0, shown.err
    assert (tmp_path / "epoch_1.pth").is_file() and not (tmp_path / "epoch_2.pth").exists()
    left = (tmp_path / "toy.py").read_text()
    assert "max_epochs=1" in left and "lr=0.01" in left


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--epochs", "0"], ["--epochs", ">= 1", "found 0"]),
        (["--epochs", "1.5"], ["--epochs", "found 1.5"]),
        (["--iters", "-3"], ["--iters", "found -3"]),
        (["--iters", "100"], ["toy.py", "train_cfg.max_epochs=7", "--epochs"]),
        (["--batch-size", "0"], ["--batch-size", "found 0"]),
        (["--lr", "0"], ["--lr", "found 0"]),
        (["--lr", "fast"], ["--lr", "found fast"]),
        (["--lr", "inf"], ["--lr", "found inf"]),
        (["--data", "no/such/folder"], ["--data", "no/such/folder"]),
        (["--data", "."], ["--data .", "toy.py has none"]),
        (["--classes", "0"], ["--classes", "found 0"]),
        (["--classes", "-2"], ["--classes", "found -2"]),
        (["--classes", "cat"], ["--classes", "found cat"]),
        (["--classes", "cat", "cat"], ["--classes", "different names"]),
        (["--classes", "4"], ["num_classes=4", "6 classes"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_nonsense_is_one_line(run_tool, tmp_path: Path, typed: list[str], told: list[str]) -> None:
    lengths = [f"{part}_dataloader.dataset.length=16" for part in ("train", "val", "test")]
    shown = run_tool("train", TOY, *typed, "--work-dir", tmp_path, "--cfg-options", *lengths)
    line = shown.err.splitlines()[-1]
    assert shown.code == 2 and line.startswith("error: ") and "Traceback" not in shown.err
    assert all(text in line for text in told), line


def test_a_training_resumed_in_a_moved_folder_names_its_files_there(
    run_tool, tmp_path: Path
) -> None:
    lengths = [f"{part}_dataloader.dataset.length=16" for part in ("train", "val")]
    best = "default_hooks.checkpoint.save_best=accuracy/top1"
    typed = ("--epochs", 1, "--cfg-options", *lengths, best)
    assert run_tool("train", TOY, "--work-dir", tmp_path / "before", *typed).code == 0
    moved = (tmp_path / "before").rename(tmp_path / "after")
    shown = run_tool("train", TOY, "--work-dir", moved, "--resume", *typed)
    (file,) = moved.glob("best_*.pth")
    assert shown.out.splitlines()[-1].endswith(f"ean test {moved}/toy.py {file}")
