"""Videos become a table of their frames and a video of the results."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.prediction import load
from ean_transfer.prediction.video import _VideoWriter, predict_video
from tests.prediction.conftest import TASKS, Trained

RATE = 10.0


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Seven frames of 96 x 64 pixels, each brighter than the one before."""
    file = tmp_path / "in" / "clip.mp4"
    file.parent.mkdir()
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (96, 64))
    for frame in range(7):
        writer.write(np.full((64, 96, 3), 30 * frame, np.uint8))
    writer.release()
    return file


def read(file: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(file)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


@pytest.mark.parametrize("task", TASKS)
def test_each_nth_frame_is_a_line_and_a_picture(
    trained: dict[str, Trained], clip: Path, tmp_path: Path, task: str
) -> None:
    predictor = load(trained[task].folder)
    for _ in range(2):  # the second replaces the first
        table, shown, frames = predict_video(predictor, clip, tmp_path / "out", every=3)
    assert frames == 3
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["frame"], float(row["seconds"])) for row in rows] == [
        ("0", 0.0), ("3", 0.3), ("6", 0.6)
    ]  # fmt: skip
    last = predictor.predict(read(clip)[6])
    name, value = {
        "classification": ("class", last.entries().get("class")),
        "segmentation": ("background", last.entries().get("share", {}).get("background")),
        "crowd_counting": ("count", last.entries().get("count")),
    }[task]
    assert rows[2][name] == str(value)
    assert cv2.VideoCapture(str(shown)).get(cv2.CAP_PROP_FPS) == pytest.approx(RATE / 3, rel=0.01)
    pictures = read(shown)
    assert len(pictures) == 3
    assert pictures[0].shape[0] > 64  # a line of text is below
    assert pictures[2][:64].mean() > pictures[0][:64].mean()


@pytest.mark.parametrize(
    ("rate", "taken"), [(200 / 3, 66.67), (500 / 7, 71.43), (24000 / 1001, 23.976), (1e-4, 0.002)]
)
def test_a_video_may_be_of_any_rate(tmp_path: Path, rate: float, taken: float) -> None:
    file = tmp_path / "shown.mp4"
    with _VideoWriter(file, rate) as writer:
        for _ in range(2):
            writer.write(np.zeros((240, 320, 3), np.uint8), "nothing")
    assert cv2.VideoCapture(str(file)).get(cv2.CAP_PROP_FPS) == pytest.approx(taken, rel=1e-4)


def test_a_region_takes_no_other_columns_name(
    trained: dict[str, Trained], clip: Path, tmp_path: Path
) -> None:
    regions = tmp_path / "regions.json"
    corner = "[[0, 0], [9, 0], [9, 9], [0, 9]]"
    regions.write_text(f'{{"count": {corner}, "frame": {corner}, "door": {corner}}}')
    predictor = load(trained["crowd_counting"].folder, regions=regions)
    table, _, _ = predict_video(predictor, clip, tmp_path / "out", every=7)
    with table.open() as stream:
        (row,) = csv.DictReader(stream)
    assert list(row) == ["frame", "seconds", "count", "regions count", "regions frame", "door"]
    assert row["frame"] == "0" and row["regions count"] == row["door"]
    assert row["count"] == str(predictor.predict(read(clip)[0]).entries()["count"]) != row["door"]


@pytest.mark.parametrize(("share", "warned"), [(1.0, False), (0.5, True)])
def test_a_video_that_is_cut_off_is_told(
    trained: dict[str, Trained], tmp_path: Path, run_tool, share: float, warned: bool
) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (96, 64))
    rng = np.random.default_rng(0)
    for _ in range(8):  # with noise, a frame is larger than the header
        writer.write(rng.integers(255, size=(64, 96, 3), dtype=np.uint8))
    writer.release()
    clip.write_bytes(clip.read_bytes()[: int(share * clip.stat().st_size)])
    network = trained["classification"].folder
    done = run_tool("predict", network, clip, "--every", 2, "--out-dir", tmp_path / "out")
    assert (tmp_path / "out" / "clip.csv").exists() and done.code == 0
    assert ("expected 8 frames, as its header says, and could read" in done.err) == warned
    assert ("clip.avi: 4 frames" in done.out) != warned


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_video_may_have_a_name_of_other_bytes_than_utf_8(
    trained: dict[str, Trained], clip: Path, tmp_path: Path
) -> None:
    named = clip.rename(clip.with_name(os.fsdecode(b"stra\xdfe.mp4")))
    predictor = load(trained["classification"].folder)
    table, shown, frames = predict_video(predictor, named, tmp_path / "out")
    assert frames == 7 and table.exists() and shown.stat().st_size > 0


def test_what_is_no_video_and_what_would_be_lost_is_refused(
    trained: dict[str, Trained], clip: Path, tmp_path: Path
) -> None:
    predictor = load(trained["classification"].folder)
    with pytest.raises(DataError, match=r"gone\.mp4: expected a video, found no such file"):
        predict_video(predictor, tmp_path / "gone.mp4", tmp_path / "out")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"text\.mp4: expected a video"):
        predict_video(predictor, tmp_path / "text.mp4", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    for suffix in ("csv", "mp4"):  # earlier results of a video that has gone
        (tmp_path / "out" / f"gone.{suffix}").write_text("frame,seconds,class\n")
    with pytest.raises(DataError, match=r"gone\.mp4: expected a video, found no such file"):
        predict_video(predictor, tmp_path / "gone.mp4", tmp_path / "out")
    (tmp_path / "out" / "clip.csv").write_text("somebody's,own\n")
    (tmp_path / "out" / "clip.mp4").touch()
    with pytest.raises(ConfigError, match=r"clip\.csv: expected another folder for the results"):
        predict_video(predictor, clip, tmp_path / "out")
    before = clip.read_bytes()
    with pytest.raises(ConfigError, match=r"clip\.mp4"):
        predict_video(predictor, clip, clip.parent)
    assert clip.read_bytes() == before


def test_each_video_has_results_of_its_own(
    trained: dict[str, Trained], clip: Path, tmp_path: Path, run_tool
) -> None:
    again, broken = tmp_path / "again" / "clip.mp4", tmp_path / "again" / "broken.mp4"
    again.parent.mkdir()
    again.write_bytes(clip.read_bytes())
    broken.write_text("no video")
    typed = (trained["classification"].folder, broken, clip, again, "--out-dir", tmp_path / "out")
    done = run_tool("predict", *typed, "--every", 3)
    assert done.code == 1 and f"error: {broken}" in done.out, done.err
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "clip.csv", "clip.mp4", "clip_2.csv", "clip_2.mp4"
    }  # fmt: skip
    done = run_tool("predict", *typed, "--sheet", tmp_path / "sheet.png")
    assert done.code == 2 and "--sheet is for images" in done.err
