"""Counting one's own images: the counter, the files it writes, and the tool."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.crowd_counting.inference import CrowdCounter
from ean_transfer.data.tiles import tiled
from ean_transfer.engine.config import set_ticket
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import CheckpointError, ConfigError, DataError
from ean_transfer.prediction.files import find_images, predict_files
from ean_transfer.supernet import find_backbone
from tests.helpers import ROOT


def save_image(file: Path, height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)
    return image


@pytest.fixture
def trained(toy, tmp_path: Path) -> tuple[Config, Path]:
    cfg = toy("crowd_counting/toy")
    set_ticket(cfg, "full")
    torch.manual_seed(0)
    write_network(MODELS.build(cfg.model), tmp_path / "counter.pth")
    return cfg, tmp_path / "counter.pth"


def test_counts_a_file_and_an_array_alike_by_the_checkpoint_s_ticket(trained, tmp_path, toy):
    _, checkpoint = trained
    image = save_image(tmp_path / "a.png")
    counter = CrowdCounter.trained(
        toy("crowd_counting/toy"), checkpoint
    )  # a config that says no ticket
    assert find_backbone(counter.model).ticket.connected == 6
    sample = counter(tmp_path / "a.png")
    assert sample.density.shape == (10, 15)
    assert sample.count == pytest.approx(float(sample.density.sum()), rel=1e-5)
    assert counter(image).count == sample.count
    again = CrowdCounter.trained(toy("crowd_counting/toy"), checkpoint)
    assert again(image).count == sample.count


def test_writes_pictures_and_counts_and_goes_on_after_a_broken_image(trained, tmp_path):
    save_image(tmp_path / "one" / "x.png")
    save_image(tmp_path / "two" / "x.jpg", 30, 400)
    broken = tmp_path / "two" / "y.png"
    broken.write_bytes(b"no image")
    images = find_images([tmp_path / "one" / "x.png", tmp_path / "two"])
    assert [path.name for path in images] == ["x.png", "x.jpg", "y.png"]

    counts = dict(predict_files(CrowdCounter.trained(*trained), images, tmp_path / "out"))
    assert isinstance(counts[broken], DataError) and str(broken) in str(counts[broken])
    rows = json.loads((tmp_path / "out" / "counts.json").read_text())
    assert [row["image"] for row in rows] == [str(path) for path in images]
    assert [row.get("picture") for row in rows] == ["x.png", "x_2.png", None]
    assert rows[1]["count"] == pytest.approx(counts[images[1]].count, abs=1e-3)
    assert (rows[1]["width"], rows[1]["height"]) == (400, 30)
    assert "expected an image" in rows[2]["error"]
    picture = cv2.imread(str(tmp_path / "out" / "x_2.png"))
    assert picture.shape[1] == 400 and picture.shape[0] > 30  # with a caption below


def test_counts_are_kept_when_the_caller_stops(trained, tmp_path):
    for name in ("a", "b"):
        save_image(tmp_path / "in" / f"{name}.png")
    results = predict_files(
        CrowdCounter.trained(*trained), find_images([tmp_path / "in"]), tmp_path / "o"
    )
    next(results)
    results.close()
    assert len(json.loads((tmp_path / "o" / "counts.json").read_text())) == 1


def test_pictures_never_replace_the_images(trained, tmp_path):
    image = save_image(tmp_path / "in" / "a.png")
    counter = CrowdCounter.trained(*trained)
    with pytest.raises(ConfigError, match=r"in/a\.png"):
        list(predict_files(counter, [tmp_path / "in" / "a.png"], tmp_path / "in"))
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "in" / "a.png")), image)


def test_refuses_what_is_not_there_or_does_not_count(trained, tmp_path, toy):
    cfg, checkpoint = trained
    with pytest.raises(DataError, match="found no such file"):
        find_images([tmp_path / "gone.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: expected .* found none"):
        find_images([tmp_path / "empty"])
    with pytest.raises(ConfigError, match="expected DensityCounter as its model"):
        CrowdCounter.trained(toy("classification/toy"), checkpoint)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        CrowdCounter.trained(cfg, tmp_path / "gone.pth")
    with pytest.raises(ConfigError, match="multiple of 4 pixels"):
        CrowdCounter.trained(cfg, checkpoint, tiles=dict(size=30, overlap=8))


def test_the_tool_says_each_count_and_what_failed(trained, tmp_path, monkeypatch, run_tool):
    config = ROOT / "configs" / "crowd_counting" / "toy.py"
    save_image(tmp_path / "in" / "a.png", 70, 90)
    out = tmp_path / "out"

    def predict(images: Path, *options: object):
        return run_tool("predict", config, trained[1], images, "--out-dir", out, *options)

    done = predict(tmp_path / "in")
    assert done.code == 0
    first, last = done.out.strip().splitlines()
    whole = json.loads((out / "counts.json").read_text())[0]["count"]
    assert first == f"{tmp_path / 'in' / 'a.png'}: {whole:.1f}"
    assert last == f"1 of 1 images counted; pictures and counts.json in {out}"
    used = []

    def note(network, inputs, tiles, stride):
        used.append((tiles.size, tiles.overlap))
        return tiled(network, inputs, tiles, stride)

    monkeypatch.setattr("ean_transfer.crowd_counting.model.tiled", note)
    for tiles in (("--tile", 32, "--overlap", 16), ("--tile", 36)):
        assert predict(tmp_path / "in", *tiles).code == 0
        cut = json.loads((out / "counts.json").read_text())[0]["count"]
        assert cut == pytest.approx(whole, rel=0.5)
    assert used == [(32, 16), (36, 8)]

    (tmp_path / "in" / "b.jpg").write_bytes(b"")
    done = predict(tmp_path / "in")
    assert done.code == 1
    assert f"error: {tmp_path / 'in' / 'b.jpg'}: expected an image" in done.out
    assert predict(tmp_path / "no").code == 2
    done = predict(tmp_path, "--overlap", 8)
    assert done.code == 2 and "--overlap" in done.err and "--tile" in done.err
