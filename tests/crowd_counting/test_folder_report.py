"""The report of folders with each kind of problem."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from ean_transfer.crowd_counting.close_points import ClosePoints, close_points
from ean_transfer.crowd_counting.datasets import CountingDataset, JHUCrowdDataset
from ean_transfer.crowd_counting.folder_report import (
    Counts,
    DatasetReport,
    check_dataset,
    report_text,
)
from ean_transfer.errors import ConfigError, DataError
from tests.crowd_counting.folders import (
    WIDTH,
    Points,
    write_dots,
    write_jhu,
    write_nwpu,
    write_shanghaitech,
)


def write_pair(root: Path, number: int, points: Points = ((3, 4), (60, 40))) -> tuple[Path, Path]:
    folder = write_jhu(root, {number: points})
    return folder / f"images/{number:04d}.jpg", folder / f"gt/{number:04d}.txt"


def halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def problems(report: DatasetReport) -> dict[str, object]:
    return {name: getattr(report, name) for name in report.problems}


def test_clean_folder_has_counts_and_no_problems(tmp_path: Path) -> None:
    for number, points in ((1, [(1, 1)]), (2, []), (3, [(1, 1), (2, 2), (64, 48)])):
        write_pair(tmp_path, number, points)
    report = check_dataset("jhu", tmp_path, split="train")
    assert report == DatasetReport(
        dataset="JHUCrowdDataset",
        data_root=str(tmp_path),
        options={"split": "train"},
        outside="clamp",
        images=3,
        counts=Counts(images=3, min=0, mean=4 / 3, max=3, total=4),
        images_without_points=("train/images/0002.jpg",),
        may_lack_points=True,
    )
    assert not report.problems
    text = report_text(report)
    assert text.endswith("no problems")
    assert "4, 0 to 3 per image, 1.3 on average" in text


@pytest.mark.parametrize("kind", ["jhu", "JHUCrowdDataset", JHUCrowdDataset])
def test_a_data_set_has_three_names(tmp_path: Path, kind: str | type[CountingDataset]) -> None:
    write_pair(tmp_path, 1)
    assert check_dataset(kind, tmp_path).dataset == "JHUCrowdDataset"


def test_every_problem_is_found_in_one_go(tmp_path: Path) -> None:
    write_pair(tmp_path, 1)
    halve(write_pair(tmp_path, 2)[0])
    write_pair(tmp_path, 3)[0].write_bytes(b"not an image")
    write_pair(tmp_path, 4)[1].write_text("1 2 3\n")
    write_pair(tmp_path, 5)[1].unlink()
    write_pair(tmp_path, 6)[0].unlink()
    write_pair(tmp_path, 7, [(-3, 1), (1, 1), (65, 49)])
    write_pair(tmp_path, 8, [(1, 1), (2, 1), (1, 1), (1, 1)])
    image, _ = write_pair(tmp_path, 9)
    image.with_name("09.jpg").write_bytes(image.read_bytes())
    halve(write_pair(tmp_path, 10)[0])
    (tmp_path / "train/gt/0010.txt").unlink()

    report = check_dataset("jhu", tmp_path, outside="error")
    left = problems(report)
    unreadable = left.pop("unreadable_images")
    assert list(unreadable) == [f"train/images/00{number}.jpg" for number in ("02", "03", "10")]
    assert "truncated" in unreadable["train/images/0002.jpg"]
    assert "line 1: expected six" in left.pop("unreadable_annotations")["train/gt/0004.txt"]
    assert left == {
        "images_without_annotation": ("train/images/0005.jpg", "train/images/0010.jpg"),
        "annotations_without_image": ("train/gt/0006.txt",),
        "same_number": ("train/images/09.jpg",),
        "points_outside": {"train/gt/0007.txt": 2},
        "duplicate_points": {"train/gt/0008.txt": 2},
    }
    assert report.farthest_outside == 3
    assert report.images == 9
    assert report.counts == Counts(images=6, min=2, mean=15 / 6, max=4, total=15)

    text = report_text(report)
    for path in ("0002.jpg", "0003.jpg", "0004.txt", "0005.jpg", "0006.txt", "0007.txt (2)"):
        assert path in text
    assert "2, farthest 3.0 pixels, in train/gt/0007.txt (2)" in text
    assert "\n    train/images/0002.jpg: expected an image, cannot read it (image file" in text


@pytest.mark.parametrize(("kind", "problem"), [("dots", True), ("jhu", False), ("nwpu", False)])
def test_images_without_points_are_listed_and_a_problem_where_none_were_published(
    tmp_path: Path, kind: str, problem: bool
) -> None:
    {"dots": write_dots, "jhu": write_jhu, "nwpu": write_nwpu}[kind](tmp_path, {1: [(1, 1)], 2: []})
    report = check_dataset(kind, tmp_path)
    (image,) = report.images_without_points
    assert "02" in image
    assert ("images_without_points" in report.problems) == problem
    assert f"images without points      1: {image}" in report_text(report)


def test_points_a_fraction_of_a_pixel_apart_are_counted_with_their_distances(
    tmp_path: Path,
) -> None:
    points = [(5.0, 5.0), (5.0, 5.25), (5.5, 5.0), (9.0, 9.0), (9.0, 9.0), (20.0, 7.0), (21.0, 7.0)]
    write_shanghaitech(tmp_path, {1: points, 2: [(1.0, 1.0), (1.0, 1.5)], 3: [(1.0, 1.0)]})
    report = check_dataset("shanghaitech", tmp_path, part="B")
    first, second = (f"part_B/train_data/ground-truth/GT_IMG_{number}.mat" for number in (1, 2))
    assert problems(report) == {
        "close_points": {first: ClosePoints(2, 0.25, 0.5), second: ClosePoints(1, 0.5, 0.5)},
        "duplicate_points": {first: 1},
    }
    text = report_text(report)
    assert (
        f"3, less than a pixel apart, in {first} (2: 0.25 to 0.5 pixels), {second} (1: 0.5" in text
    )


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12, unique=True),
    st.data(),
)
def test_whole_points_are_never_close_and_shifted_copies_always_are(
    points: list[tuple[int, int]], data: st.DataObject
) -> None:
    # Two pixels apart, so that a copy is close to its original alone.
    whole = 2 * np.array(points, dtype=np.float32).reshape(-1, 2)
    assert close_points(whole) is None and close_points(whole / 2) is None
    shift = data.draw(st.sampled_from([0.0625, 0.125, 0.25, 0.375]))
    copied = data.draw(
        st.lists(st.sampled_from(range(len(points))), unique=True) if points else st.just([])
    )
    close = close_points(np.concatenate([whole, whole[copied] + np.float32([shift, 0])]))
    assert (0 if close is None else close.points) == len(copied)
    assert close is None or close.nearest == close.farthest == shift


def test_files_that_are_neither_images_nor_annotations_are_told(tmp_path: Path) -> None:
    image, _ = write_pair(tmp_path, 1)
    for name in ("notes.doc", "._0001.jpg", "0002.heic"):
        image.with_name(name).write_bytes(b"x")
    report = check_dataset("jhu", tmp_path)
    assert set(report.left_out) == {
        f"train/images/{name}" for name in ("notes.doc", "._0001.jpg", "0002.heic")
    }
    assert not report.problems
    assert "left out, other names      3: " in report_text(report)


def turned(image: Path, orientation: int, size: tuple[int, int] = (64, 48)) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", size).save(image, exif=exif)


@pytest.mark.parametrize(
    ("orientation", "size", "point", "unclear"),
    [
        (1, (64, 48), (3, 4), False),
        (2, (64, 48), (3, 4), True),
        (3, (64, 48), (3, 4), True),
        (4, (64, 48), (60, 4), True),
        (6, (48, 48), (3, 4), True),
        (6, (64, 48), (3, 4), True),  # lies in 64 x 48 and in 48 x 64
        (6, (64, 48), (3, 60), False),  # only in 48 x 64, as it is turned
        (8, (64, 48), (60, 3), True),  # only as it is stored, which is not how it would be read
    ],
)
def test_images_whose_points_fit_turned_and_as_stored_are_listed_and_refused(
    tmp_path: Path, orientation: int, size: tuple[int, int], point: Any, unclear: bool
) -> None:
    image, _ = write_pair(tmp_path, 1, [point])
    turned(image, orientation, size)
    report = check_dataset("jhu", tmp_path)
    name = "train/images/0001.jpg"
    assert report.unclear_orientation == ({name: orientation} if unclear else {})
    if unclear:
        assert f"1: {name} ({orientation}); give" in report_text(report)
        with pytest.raises(DataError, match=rf"{name}: .*EXIF orientation {orientation}"):
            JHUCrowdDataset(tmp_path)
    else:
        assert len(JHUCrowdDataset(tmp_path)) == 1


def test_a_pipeline_that_says_what_orientation_means_decides(tmp_path: Path) -> None:
    turned(write_pair(tmp_path, 1, [(40, 3)])[0], 6)
    for exif, size in (("apply", (64, 48)), ("ignore", (48, 64))):
        pipeline = [dict(type="LoadCountingImage", exif=exif)]
        dataset = JHUCrowdDataset(tmp_path, pipeline=pipeline)
        info = dataset.get_data_info(0)
        assert (info["height"], info["width"]) == size == dataset[0]["img"].shape[:2]


@pytest.mark.parametrize(
    ("image", "dots", "size", "unclear"),
    [
        (3, 1, (64, 48), True),
        (3, 3, (64, 48), False),  # both are turned, or neither
        (6, 1, (48, 64), False),  # the dots' size is that of the turned image
    ],
)
def test_dots_are_compared_with_their_image(
    tmp_path: Path, image: int, dots: int, size: tuple[int, int], unclear: bool
) -> None:
    write_dots(tmp_path, {1: []})
    turned(tmp_path / "001cell.png", image)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = dots
    canvas = Image.new("RGB", size)
    canvas.putpixel((5, 6), (255, 0, 0))
    canvas.save(tmp_path / "001dots.png", exif=exif)
    assert bool(check_dataset("dots", tmp_path).unclear_orientation) == unclear


def test_what_only_nwpu_can_have_wrong_is_found(tmp_path: Path) -> None:
    write_nwpu(tmp_path, {1: [(1, 1)], 2: [], 3: [(math.nan, 1), (2, 2)]})
    with (tmp_path / "train.txt").open("a") as split:
        split.write("0009 0 1\n")
    (tmp_path / "jsons/0002.json").write_text((tmp_path / "jsons/0001.json").read_text())
    report = check_dataset("nwpu", tmp_path)
    other = "expected img_id 0002.jpg, found '0001.jpg'"
    assert report.other_image["jsons/0002.json"].startswith(other)
    assert report.points_not_finite == {"jsons/0003.json": 1}
    assert report.listed_without_image == ("0009 of train.txt",)
    assert set(report.problems) == {"other_image", "points_not_finite", "listed_without_image"}
    assert "0009 of train.txt" in report_text(report)


def test_points_that_the_data_set_moves_are_told_but_are_no_problem(tmp_path: Path) -> None:
    write_nwpu(tmp_path, {1: [(WIDTH + 1.5, 3), (1, 1)]})
    report = check_dataset("nwpu", tmp_path)
    assert report.points_outside == {"jsons/0001.json": 1}
    assert report.farthest_outside == 1.5
    assert not report.problems
    assert "farthest 1.5 pixels, in jsons/0001.json (1); the data set moves" in report_text(report)
    assert check_dataset("nwpu", tmp_path, outside="error").problems == ("points_outside",)


def test_points_far_outside_are_a_problem_wherever_they_are(tmp_path: Path) -> None:
    write_pair(tmp_path, 1, [(WIDTH + 1, 3), (900, 3), (3, 900)])
    report = check_dataset("jhu", tmp_path)
    assert problems(report) == {"points_far_outside": {"train/gt/0001.txt": 2}}
    assert "far outside         2, in train/gt/0001.txt (2)" in report_text(report)


def test_images_published_without_labels_have_no_counts(tmp_path: Path) -> None:
    write_nwpu(tmp_path, {1: []})
    (tmp_path / "test.txt").write_text("0001 0 1\n")
    report = check_dataset("nwpu", tmp_path, split="test")
    assert report.images == 1 and report.counts is None and not report.problems
    assert "no labels" in report_text(report)


def test_report_shows_a_few_files_and_holds_all(tmp_path: Path) -> None:
    for number in range(1, 10):
        write_pair(tmp_path, number)[1].write_text("x\n")
    write_pair(tmp_path, 10)
    report = check_dataset("jhu", tmp_path)
    assert len(report.unreadable_annotations) == 9
    assert report_text(report).count(".txt") == 5
    assert "and 4 more" in report_text(report)


def test_report_cannot_be_changed() -> None:
    report = DatasetReport("x", "y", {}, "error", 0, None)
    with pytest.raises(FrozenInstanceError):
        report.images = 1  # type: ignore[misc]
    assert {field.name for field in fields(report)} > set(problems(report))


def test_names_from_the_folder_cannot_move_the_cursor() -> None:
    report = DatasetReport("x", "y", {}, "error", 1, None, same_number=("\x1b[2J.jpg",))
    assert "\\x1b[2J.jpg" in report_text(report)


def test_missing_or_empty_folder_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere.*no such folder"):
        check_dataset("jhu", tmp_path / "nowhere")
    (tmp_path / "train/images").mkdir(parents=True)
    with pytest.raises(DataError, match="expected .* files .*found none"):
        check_dataset("jhu", tmp_path)


@pytest.mark.parametrize(
    ("kind", "options", "problem"),
    [
        ("jhu", {"part": "A"}, "JHUCrowdDataset takes no part; it takes split, outside"),
        ("jhu", {"draw": {"pool": 1, "size": 1}}, "takes no draw"),
        ("jhu", {"split": "all"}, "split.* 'all'"),
        ("shanghaitech", {}, "ShanghaiTechDataset: .*'part' is missing"),
        ("nothing", {}, "shanghaitech, qnrf, jhu, nwpu, dots, points or .* found 'nothing'"),
        (dict, {}, "found <class 'dict'>"),
    ],
)
def test_options_that_a_data_set_does_not_have_are_refused(
    tmp_path: Path, kind: str, options: dict, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        check_dataset(kind, tmp_path, **options)


def test_a_folder_in_the_user_s_home_is_named_by_its_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # Windows
    write_dots(tmp_path / "mine", {1: [(3, 4)]})
    (tmp_path / "mine" / "points.csv").write_text("image,x,y\n001cell.png,3,4\n")
    assert check_dataset("dots", "~/mine").counts.total == 1
    report = check_dataset("points", "~/mine", image_suffix="cell.png")
    assert report.counts.total == 1 and report.data_root == str(tmp_path / "mine")
