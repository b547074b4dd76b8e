"""Where the arms of a counting study are most wrong, in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.registry import MODELS

from benchmarks import commands
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.study.counting_figure import CountedImage, CountingRun
from ean_transfer.study.counting_pictures import worst_rows
from tests.helpers import ROOT


class OneImage:
    """A data set of one image, (40, 60)."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __len__(self) -> int:
        return 1

    def get_data_info(self, index: int) -> dict[str, Any]:
        return {"img_path": self.file, "points": np.array([[10.0, 20.0]], dtype=np.float32)}


@pytest.fixture
def image(tmp_path: Path) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    return str(tmp_path / "a.png")


def run_of(cfg, attention: str, image: str, diverged: bool = False) -> CountingRun:
    """A run with its config and its last checkpoint, as a training leaves them."""
    folder = Path(image).parent / f"{attention}{diverged}"
    folder.mkdir()
    cfg.model.backbone.attention = attention
    cfg.model.backbone.ticket = "full"
    cfg.dump(folder / Path(cfg.filename).name)
    model = MODELS.build(cfg.model)
    if diverged:
        next(model.parameters()).data.fill_(3e38)  # finite, and NaN after a layer
    write_network(model, folder / "epoch_1.pth")
    (folder / "last_checkpoint").write_text(str(folder / "epoch_1.pth"))
    return CountingRun(folder, (), (), (CountedImage(image, 1.0, 3.0),))


def test_each_network_is_built_by_its_run_s_config_and_nan_hides_no_other(toy, image: str) -> None:
    cfg = toy("crowd_counting/toy")
    cfg.test_dataloader.dataset = dict(type=OneImage, file=image)
    runs = {
        "full": [run_of(toy("crowd_counting/toy"), "IE", image, diverged=True)],
        "IE full": [run_of(toy("crowd_counting/toy"), "IE", image)],
        "ECA full": [run_of(toy("crowd_counting/toy"), "ECA", image)],
    }
    (row,) = worst_rows(cfg, runs, 1, without_images=True)
    nothing, *others = (picture[:200] for picture in row.values())  # without the captions
    assert list(row) == ["a.png: full", "a.png: IE full", "a.png: ECA full"]
    assert all(picture.max(axis=2).mean() > nothing.max(axis=2).mean() + 20 for picture in others)


def test_the_command_says_what_is_left_out(tmp_path: Path, monkeypatch, capsys) -> None:
    for arm, predicted in (("none", "3"), ("full", "NaN")):
        folder = tmp_path / "counting" / arm / "seed0"
        (folder / "now/vis_data").mkdir(parents=True)
        (folder / "now/vis_data/scalars.json").write_text(f'{{"MAE": {predicted}, "step": 1}}')
        (folder / "metrics.json").write_text("{}")
        (folder / "counts.csv").write_text(f"image,true,predicted,error\na.png,1,{predicted},2\n")
    picture = np.zeros((20, 20, 3), np.uint8)
    monkeypatch.setattr(commands, "worst_rows", lambda *_, **__: [{"a": picture}])
    config = str(ROOT / "configs/crowd_counting/toy.py")
    options = {"task": "counting", "out": str(tmp_path / "out"), "worst": 1}
    commands.counting(config, study=str(tmp_path), without_images=True, **options)
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "not finite" in line]
    assert said.startswith(f"{tmp_path / 'counting/full/seed0'}: 1 of 1 counts")


def test_runs_of_another_config_are_refused(toy, image: str) -> None:
    run = run_of(toy("crowd_counting/toy"), "IE", image)
    with pytest.raises(ConfigError, match="toy_search.py: not a valid config"):
        worst_rows(toy("classification/toy_search"), {"full": [run]}, 1)
