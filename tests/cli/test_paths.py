"""Files that a command line names wrongly are refused at once, before torch is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

import pytest

from ean_transfer.cli.main import command_parser
from ean_transfer.cli.paths import require_paths
from ean_transfer.errors import CheckpointError, DataError
from tests.helpers import CONFIGS, ROOT

TOY = str(CONFIGS / "classification" / "toy.py")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["train", "nothere.py"], ["nothere.py: no such config"]),
        (["train", "configs/classification/toi.py"], ["did you mean classification/toy?"]),
        (["train", "net.pth"], ["net.pth", "a checkpoint"]),
        (["train", str(ROOT)], ["expected a config (.py), found a folder"]),
        (
            ["predict", "classification/toy", "gone.pth", "a.png", "--out-dir", "x"],
            ["gone.pth: no"],
        ),
        (["train", TOY, "--weights", "gone.pth"], ["gone.pth: no such checkpoint"]),
        (["train", TOY, "--ticket", "gone.json"], ["gone.json: no such ticket"]),
        (["ticket", "show", "~nobody-here/t.json"], ["~nobody-here/t.json: no such ticket"]),
        (["search", TOY, "--supernet", "a.pth", "b.pth"], ["a.pth: no such checkpoint"]),
        (["test", TOY, "gone.pth"], ["gone.pth: no such checkpoint"]),
        (["test", "net.pth", TOY], ["net.pth", "swap CONFIG and CHECKPOINT?"]),
        (["export", "net.pth", TOY], ["swap CONFIG and CHECKPOINT?"]),
        (["predict", "net.pth", TOY, "a.png", "--out-dir", "x"], ["swap CONFIG and CHECKPOINT?"]),
        (["fold", "report", "net.pth", TOY], ["swap CONFIG and CHECKPOINT?"]),
        (["test", TOY, TOY], ["expected a checkpoint", "swap CONFIG and CHECKPOINT?"]),
        (
            ["inspect", "compare", TOY, "none=gone.pth", "--out", "a.png"],
            ["gone.pth: no such checkpoint"],
        ),
    ],
    ids=" ".join,
)
def test_a_file_that_is_not_there_or_swapped_is_named(
    run_tool, typed: list[str], words: list[str]
) -> None:
    done = run_tool(*typed)
    assert done.code == 2 and done.err.count("\n") == 1
    assert all(word in done.err for word in words), done.err


@pytest.mark.parametrize(
    "values",
    [
        {"weights": "torchvision:resnet18"},
        {"weights": "https://example.org/net.pth"},
        {"ticket": "zoo:anything"},
        {"ticket": "full"},
        {"config": "ean_transfer.configs.classification.toy"},
        {"config": "classification/toy"},
    ],
    ids=str,
)
def test_what_is_no_path_is_left_to_who_reads_it(values: dict[str, str]) -> None:
    require_paths(Namespace(**values))


def test_a_file_may_be_named_with_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "net.pth").touch()
    require_paths(Namespace(weights=f"{tmp_path}/net.pth#sha256=9f86d081"))
    with pytest.raises(CheckpointError, match="gone.pth#sha256=9f86d081: no such checkpoint"):
        require_paths(Namespace(weights="gone.pth#sha256=9f86d081"))


@pytest.mark.parametrize(("kind", "is_there"), [("CIFAR10", True), ("ImageFolder", False)])
def test_data_that_are_downloaded_need_not_be_there(
    tmp_path: Path, kind: str, is_there: bool
) -> None:
    config = tmp_path / "config.py"
    config.write_text(f"train_dataloader = dict(dataset=dict(type='{kind}', data_root='no/where'))")
    typed = command_parser("train", "ean train").parse_args([str(config)])
    with nullcontext() if is_there else pytest.raises(DataError, match="no/where: no such folder"):
        require_paths(typed)


def test_a_checkpoints_name_may_have_a_comma(tmp_path: Path) -> None:
    (tmp_path / "a,b.pth").touch()
    require_paths(Namespace(networks=[f"full={tmp_path}/a,b.pth"]))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["train", "nothere.py"], "nothere.py: no such config"),
        (["train", "{cells}"], "data/cells: no such folder, expected the data of train_dataloader"),
        (["search", "{camvid}"], "data/camvid: no such folder"),
        (["test", "{cells}", "{net}"], "expected the data of test_dataloader"),
    ],
    ids=" ".join,
)
def test_no_torch_is_imported_for_the_answer(tmp_path: Path, typed: list[str], words: str) -> None:
    (tmp_path / "net.pth").touch()
    names = dict(
        cells=CONFIGS / "crowd_counting" / "resnet20_se_cells_short.py",
        camvid=CONFIGS / "segmentation" / "fcn_resnet20_se_camvid_search_short.py",
        net=tmp_path / "net.pth",
    )
    code = (
        "import sys; from ean_transfer.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    line = [sys.executable, "-c", code, *(text.format(**names) for text in typed)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n" and words in done.stderr, done.stderr


def test_data_that_the_command_line_names_are_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = CONFIGS / "crowd_counting" / "resnet20_se_cells_short.py"
    for options in (
        ["--data", str(tmp_path)],
        ["--cfg-options", f"train_dataloader.dataset.data_root={tmp_path}"],
    ):
        parser = command_parser("train", "ean train")
        require_paths(parser.parse_args([str(config), *options]))
