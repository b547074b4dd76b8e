"""What a project's configs say, as docs/your_data.md shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.project.choices import Start, choose, choose_start
from ean_transfer.project.data import Data, Folder
from ean_transfer.project.machine import Machine


def test_the_choices_are_those_of_the_pages_example() -> None:
    folder = Folder(Path("street"), {"": []}, ("a",), (), (480, 360), 360, (), "")
    start = Start("timm:x", None, (0.0,) * 3, (1.0,) * 3, {})
    made = choose("segmentation", Data(folder), Machine(2, 0), 98, start)
    assert (made.batch, made.iterations, made.size, made.scale) == (4, 370, 320, (480, 360))


def test_how_close_objects_lie_is_read_from_the_table_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("image,x,y\na.png,0,0\na.png,0,90\n")
    (tmp_path / "heads.csv").write_text("image,x,y\na.png,0,0\na.png,0,10\n")
    folder = Folder(tmp_path, {"": ["a.png"]}, (), (), (100, 100), 100, (), "")
    data = Data(folder, options={"points_file": "heads.csv"})
    start = Start("timm:x", None, (0.0,) * 3, (1.0,) * 3, {})
    assert choose("counting", data, Machine(2, 0), 98, start).sigma == 3.0


@pytest.mark.parametrize(
    ("network", "mean", "std"),
    [
        ("timm:tf_efficientnet_lite0", (127.5,) * 3, (127.5,) * 3),
        ("torchvision:resnet18", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ],
)
def test_colours_are_those_that_the_weights_expect(network: str, mean: tuple, std: tuple) -> None:
    start = choose_start(network, "none")
    assert (start.mean, start.std) == (mean, std)


def test_a_network_of_transformers_may_be_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    transformers.ResNetModel(config).save_pretrained(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    start = choose_start("transformers:mine")
    name = f"transformers:{tmp_path / 'mine'}"  # also from another folder
    assert (start.network, start.weights) == (name, name)
    assert start.mean == (123.675, 116.28, 103.53) and "without its" in start.why["colours"]
    half = [0.5] * 3
    transformers.ViTImageProcessor(image_mean=half, image_std=half).save_pretrained("mine")
    start = choose_start("transformers:mine", "none")
    assert start.mean == (127.5,) * 3 and "weights expect" in start.why["colours"]
