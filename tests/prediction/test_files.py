"""Results of predictions never replace other files, and name every image."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ean_transfer.engine.inference import Predictor, Setting
from ean_transfer.engine.results import Prediction
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.prediction import files, load
from ean_transfer.prediction.files import find_images, predict_files


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "in" / "a.png"
    file.parent.mkdir()
    cv2.imwrite(str(file), np.zeros((40, 60, 3), np.uint8))
    return file


class Nothing(Prediction):
    """A result of nothing, with one file."""

    files = {"labels": "_labels.png"}

    def text(self) -> str:
        return "nothing"

    def entries(self) -> dict[str, Any]:
        return {"seen": 0}

    def overlay(self, image: np.ndarray) -> np.ndarray:
        return image

    def write(self, image: np.ndarray, files: dict[str, Path]) -> None:
        files["labels"].write_text("predicted")


class Blind(Predictor[Nothing]):
    """A predictor that runs no network, and notes the table of that time."""

    table = "table.json"
    result = Nothing

    def __init__(self, folder: Path, seen: list[Any]) -> None:
        super().__init__(None, Setting("", []))
        self.folder, self.seen = folder, seen

    def __call__(self, image: Any) -> Nothing:
        self.seen.append(json.loads((self.folder / "table.json").read_text()))
        return self.read(None)

    def read(self, sample: Any) -> Nothing:
        return Nothing()

    def judge(self, sample: Any) -> None:
        return None

    def draw_judged(self, sample: Any, image: np.ndarray) -> np.ndarray:
        return image


def predict(image: Path, folder: Path, seen: list[Any] | None = None, **options: Any) -> None:
    list(predict_files(Blind(folder, [] if seen is None else seen), [image], folder, **options))


def test_images_and_other_files_are_not_replaced(image: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"in/a\.png: .* folder"):
        predict(image, image.parent)
    precious = tmp_path / "out" / "a_labels.png"
    precious.parent.mkdir()
    precious.write_text("drawn by hand")
    with pytest.raises(ConfigError, match=r"a_labels\.png: "):
        predict(image, precious.parent)
    assert precious.read_text() == "drawn by hand"


@pytest.mark.parametrize(
    "text", [b'{"a.png": "road"}', b'[{"label": "road"}]', b'["a.png"]', b"road", b"\xff"]
)
def test_a_table_of_something_else_is_not_replaced(image: Path, tmp_path: Path, text) -> None:
    table = tmp_path / "out" / "table.json"
    table.parent.mkdir()
    table.write_bytes(text)
    with pytest.raises(ConfigError, match=r"table\.json: "):
        predict(image, table.parent)
    assert list(table.parent.iterdir()) == [table] and table.read_bytes() == text


def test_an_earlier_runs_table_stays_whole_until_there_is_another(image: Path, tmp_path) -> None:
    seen: list[Any] = []
    for _ in range(2):
        predict(image, tmp_path / "out", seen)
    row = {"image": str(image), "width": 60, "height": 40, "seen": 0, "labels": "a_labels.png"}
    assert seen == [[], [row]]
    assert json.loads((tmp_path / "out" / "table.json").read_text()) == [row]


def test_a_sheet_shows_at_most_sixteen_images(image: Path, tmp_path: Path) -> None:
    for number in range(40):
        (image.parent / f"{number}.png").write_bytes(image.read_bytes())
    images = find_images([image.parent])
    sheet = tmp_path / "sheet.png"
    list(predict_files(Blind(tmp_path / "out", []), images, tmp_path / "out", sheet))
    height, width = cv2.imread(str(sheet)).shape[:2]
    assert width == 8 + 4 * (320 + 8)  # four columns
    assert height < 4 * 320  # four rows


@pytest.mark.parametrize(
    ("task", "options", "written"),
    [
        ("classification", {"top": 2}, {"classes.json", "a.png"}),
        ("segmentation", {}, {"labels.json", "a_overlay.png", "a_labels.png"}),
        ("crowd_counting", {"points": True}, {"counts.json", "points.csv", "a.png"}),
    ],
)
def test_each_task_writes_its_files_and_a_sheet(
    trained, image: Path, tmp_path: Path, task: str, options: dict[str, Any], written: set[str]
) -> None:
    predictor = load(trained[task].folder, **options)
    (pair,) = predict_files(predictor, [image], tmp_path / "out", tmp_path / "sheet.png")
    assert {file.name for file in (tmp_path / "out").iterdir()} == written
    (row,) = json.loads((tmp_path / "out" / predictor.table).read_text())
    entries = pair[1].entries()
    assert {key: row[key] for key in entries} == entries
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 320 + 2 * 8
    if task == "classification":
        assert [entry["class"] for entry in row["top"]] == [name for name, _ in pair[1].top(2)]


def test_points_and_regions_of_a_counter_are_those_of_its_density(
    trained, image: Path, tmp_path: Path
) -> None:
    (tmp_path / "halves.json").write_text(
        '{"left": [[0, 0], [30, 0], [30, 40], [0, 40]],'
        ' "all": [[0, 0], [60, 0], [60, 40], [0, 40]]}'
    )
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    images = [image, image.parent / "sub" / "b.png"]
    images[1].parent.mkdir()
    cv2.imwrite(str(images[1]), pixels)
    predictor = load(
        trained["crowd_counting"].folder, points=True, regions=tmp_path / "halves.json"
    )
    torch.nn.init.constant_(predictor.model.head.density.bias, 4.0)  # 4 objects per 100 cells
    results = dict(predict_files(predictor, images, tmp_path / "out"))
    rows = json.loads((tmp_path / "out" / "counts.json").read_text())
    assert all(len(result.points) > 1 for result in results.values())
    for row in rows:
        assert row["regions"]["all"] == pytest.approx(row["count"], abs=2e-3)
    density = results[images[1]].density
    half = density[:, :7].sum() + density[:, 7].sum() / 2  # cells of 4 pixels
    assert rows[1]["regions"]["left"] == pytest.approx(half, abs=2e-3)
    lines = (tmp_path / "out" / "points.csv").read_text().splitlines()
    expected = [
        f"{name},{x:.2f},{y:.2f}"
        for name, file in (("a.png", images[0]), ("sub/b.png", images[1]))
        for x, y in results[file].points
    ]
    assert lines == ["image,x,y", *expected]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_of_other_bytes_than_utf_8_is_in_the_table_of_points(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = image.rename(image.with_name(os.fsdecode(b"stra\xdfe.png")))
    monkeypatch.setattr(Blind, "points_table", "points.csv")
    monkeypatch.setattr(Nothing, "points", np.array([[1.0, 2.0]]), raising=False)
    predict(named, tmp_path / "out")
    points = (tmp_path / "out" / "points.csv").read_bytes()
    assert points == b"image,x,y\nstra\xdfe.png,1.00,2.00\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_the_pictures_of_a_name_of_other_bytes_than_utf_8_are_written(
    trained, image: Path, tmp_path: Path
) -> None:
    named = image.rename(image.with_name(os.fsdecode(b"stra\xdfe.png")))
    out = tmp_path / "out"
    list(predict_files(load(trained["segmentation"].folder), [named], out))
    written = {os.fsencode(file.name) for file in out.glob("*.png")}
    assert written == {b"stra\xdfe_overlay.png", b"stra\xdfe_labels.png"}


def test_an_image_that_is_named_twice_is_predicted_once(image: Path) -> None:
    other = image.with_name("b.png")
    other.write_bytes(image.read_bytes())
    again = image.parent / ".." / image.parent.name / image.name
    assert find_images([other, image.parent, again]) == [other, image]


def test_files_of_a_folder_that_are_no_images_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(files, "print_log", lambda line, **_: lines.append(line))
    names = ["a.JPG", "b.png", "._a.JPG", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [image.name for image in find_images([tmp_path])] == ["a.JPG", "b.png"]
    (line,) = lines
    for part in ("._a.JPG", "1 *.db (Thumbs.db)", "1 *.ini", "1 *.txt"):
        assert part in line
    assert find_images([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]  # as it was asked for
    for image in ("a.JPG", "b.png"):
        (tmp_path / image).unlink()
    with pytest.raises(DataError, match=r"found none in it \(.*Thumbs.db"):
        find_images([tmp_path])
