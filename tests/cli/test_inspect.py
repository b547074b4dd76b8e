"""``inspect compare`` as its user meets it; the other commands: tests/analysis/inspect."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from tests.helpers import CONFIGS

CONFIG = CONFIGS / "segmentation" / "toy.py"
FEW = ("--cfg-options", "test_dataloader.dataset.length=3")


def test_networks_are_compared_in_one_picture(run_tool, segmentor: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    networks = (f"one={segmentor}", f"two={segmentor}")
    typed = ("compare", CONFIG, *networks, "--samples", 0, 2, "--out", out, *FEW)
    done = run_tool("inspect", *typed)
    assert (done.code, done.out) == (0, f"wrote {out}\n"), done.err
    assert cv2.imread(str(out)).shape[1] == 8 + 4 * 328


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["one={net}", "--samples", "3", *FEW], "expected samples from 0 to 2"),
        (["one={net}", "one={net}"], "a NAME for each CHECKPOINT, found one twice"),
        (["{net}"], "expected NAME=CHECKPOINT"),
        (["one={net},{net}"], "expected one checkpoint for one, found "),
        (["one={net}", "--out", "sheet.gif"], "--out: expected the name of a .png file, found she"),
        (["one={net}", "--out", "no/sheet.png"], "--out: expected a file in a folder that exists"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(
    run_tool, segmentor: Path, tmp_path: Path, typed: list[str], message: str
) -> None:
    words = [word.format(net=segmentor) for word in typed]
    done = run_tool("inspect", "compare", CONFIG, "--out", tmp_path / "sheet.png", *words)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("command", ["gradcam", "similarity", "robustness"])
def test_a_json_of_the_users_beside_the_picture_is_not_replaced(
    run_tool, tmp_path: Path, command: str
) -> None:
    beside, checkpoint = tmp_path / "sheet.json", tmp_path / "empty.pth"
    checkpoint.touch()
    beside.write_text('{"mine": 1}')
    typed = [command, CONFIG, f"one={checkpoint}", "--out", tmp_path / "sheet.png"]
    done = run_tool("inspect", *typed)
    assert done.code == 2 and "sheet.json: expected another --out" in done.err
    assert beside.read_text() == '{"mine": 1}'
    beside.write_text('{"config": "", "checkpoints": {}, "seed": 0}')  # of an earlier run
    done = run_tool("inspect", *typed)
    assert "sheet.json" not in done.err
