"""Plain data of each task: the same rules for lists, classes' names, suffixes and what is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS
from PIL import ExifTags, Image

from ean_transfer.classification import ImageFolder
from ean_transfer.crowd_counting import LoadCountingImage, PointsDataset
from ean_transfer.data.loading import LoadImage
from ean_transfer.data.plain import part_of, read_classes
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.segmentation import CamVidDataset, CheckedAnnotations, SegFolder

NAMES = ("b/2.JPG", "b/10.png", "b/x.y.tif", "c/1.webp")
"""Images by number, with suffixes of every kind."""


def write_image(path: Path, size: tuple[int, int] = (12, 16), orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


def write_labels(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.asarray(values, np.uint8))


@pytest.fixture
def points(tmp_path: Path) -> Path:
    for name in NAMES:
        write_image(tmp_path / name)
    rows = [
        "image,x,y,kind",
        "b/2.JPG,3,4.5,a",
        r".\c\1.webp,16,12,a",
        "b/2.JPG,0,0,b",
        "b/10.png,,",
    ]
    (tmp_path / "points.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    for name in NAMES:
        write_image(tmp_path / "images" / name)
        label = (tmp_path / "labels" / name).with_suffix(".png")
        write_labels(label, np.arange(12 * 16).reshape(12, 16) % 3)
    (tmp_path / "classes.txt").write_text("ground\ntree\n\nlow house\n", encoding="utf-8-sig")
    return tmp_path


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for name in NAMES:
        write_image(tmp_path / name)
    return tmp_path


def names(dataset: Any, folder: Path) -> list[str]:
    paths = [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def test_points_of_all_images_are_in_one_table(points: Path) -> None:
    dataset = DATASETS.build(dict(type="PointsDataset", data_root=str(points)))
    assert names(dataset, points) == list(NAMES)
    read = [dataset.get_data_info(index)["points"].tolist() for index in range(4)]
    assert read == [[[3, 4.5], [0, 0]], [], [], [[16, 12]]]
    loaded = PointsDataset(points, pipeline=[dict(type=LoadCountingImage)])[0]
    assert loaded["img"].shape == (12, 16, 3)


def test_label_files_go_by_the_images_names(masks: Path) -> None:
    pipeline = [dict(type=LoadImage), dict(type=CheckedAnnotations)]
    dataset = SegFolder(masks, pipeline=pipeline)
    assert dataset.metainfo["classes"] == ("ground", "tree", "low house")
    assert sorted(names(dataset, masks / "images")) == sorted(NAMES)
    assert all(np.unique(sample["gt_seg_map"]).tolist() == [0, 1, 2] for sample in dataset)


def test_the_classes_file_orders_the_labels_of_folders(classes: Path) -> None:
    assert ImageFolder(classes).get_gt_labels().tolist() == [0, 0, 0, 1]
    (classes / "classes.txt").write_text("c\nb\n")
    assert ImageFolder(classes).get_gt_labels().tolist() == [1, 1, 1, 0]
    assert ImageFolder(classes, classes=("b", "c")).metainfo["classes"] == ("b", "c")
    (classes / "classes.txt").write_text("c\nb\nd\n")
    with pytest.raises(DataError, match="folders that differ from the classes in d"):
        ImageFolder(classes)


def of_masks(**options: Any) -> SegFolder:
    return SegFolder(pipeline=[], **options)


Build = tuple[str, Callable[..., Any], str]
BUILDS = [
    ("points", PointsDataset, ""),
    ("masks", of_masks, "images/"),
    ("classes", ImageFolder, ""),
]


@pytest.fixture(params=BUILDS, ids=lambda build: build[0])
def plain(request: pytest.FixtureRequest) -> tuple[Path, Callable[..., Any], str]:
    """A folder of plain data, its data set, and what the images' paths begin with."""
    fixture, build, prefix = request.param
    root = request.getfixturevalue(fixture)
    return root, partial(build, data_root=root), prefix


def test_a_list_chooses_images_of_every_suffix(plain: Any, log_lines: list[str]) -> None:
    root, build, prefix = plain
    (root / "splits").mkdir()
    (root / "splits" / "a.txt").write_text(f"{prefix}c/1.webp\n\n./{prefix}b/10.png\r\n")
    dataset = build(split="splits/a.txt")
    assert names(dataset, root) == [f"{prefix}c/1.webp", f"{prefix}b/10.png"]  # in its order
    assert build(split=str(root / "splits" / "a.txt")).get_data_info(0)["img_path"]
    assert len(build()) == 4
    assert not any("left out" in line for line in log_lines)


COMPOSED, DECOMPOSED = "b/gr\u00fcn.png", "b/gru\u0308n.png"


def test_a_list_names_accents_in_either_form(plain: Any) -> None:
    root, build, prefix = plain
    write_image(root / prefix / DECOMPOSED)
    if prefix:
        write_labels(root / "labels" / DECOMPOSED, np.zeros((12, 16)))
    (root / "a.txt").write_text(f"{prefix}{COMPOSED}\n", encoding="utf-8")
    assert names(build(split="a.txt"), root) == [f"{prefix}{DECOMPOSED}"]
    if not prefix:  # two files that look alike are still two
        write_image(root / COMPOSED)
        assert names(build(split="a.txt"), root) == [COMPOSED]


def test_the_table_names_accents_in_either_form(points: Path) -> None:
    write_image(points / DECOMPOSED)
    with (points / "points.csv").open("a", encoding="utf-8") as table:
        table.write(f"\n{COMPOSED},1,2,a\n")
    dataset = PointsDataset(points)
    place = names(dataset, points).index(DECOMPOSED)
    assert dataset.get_data_info(place)["points"].tolist() == [[1, 2]]


def test_a_list_is_found_from_the_working_directory(
    plain: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, build, prefix = plain
    project = tmp_path_factory.mktemp("project")
    (project / "val.txt").write_text(f"{prefix}b/2.JPG")
    monkeypatch.chdir(project)
    assert names(build(split="val.txt"), root) == [f"{prefix}b/2.JPG"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "a.txt: expected an image's path per line, found no such file"),
        ("\n \n", "a.txt: expected an image's path per line, found an empty file"),
        (
            "{0}b/2.JPG\n{0}b/3.JPG\n{0}b/4.JPG",
            r"a.txt, line 2: .* found '{0}b/3.JPG'.*and 1 more",
        ),
        ("{0}b/2.JPG\n\n{0}b/2.JPG", "a.txt, line 3: .* as in line 1"),
        ("{0}b/2.jpg", r"a.txt, line 1: .* found '{0}b/2.jpg'"),
        (b"\xff\xfe\x00", "a.txt: expected an image's path per line, found no text in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_list_is_named(plain: Any, text: Any, message: str) -> None:
    root, build, prefix = plain
    if text is not None:
        content = text if isinstance(text, bytes) else text.format(prefix).encode()
        (root / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=message.format(prefix)):
        build(split="a.txt")


@pytest.mark.parametrize("kind", ["points", "segmentation", "classification"])
def test_checks_know_lists_and_classes(
    request: pytest.FixtureRequest, run_tool: Callable[..., Any], kind: str, tmp_path: Path
) -> None:
    fixture = {"segmentation": "masks", "classification": "classes"}.get(kind, kind)
    root = request.getfixturevalue(fixture)
    prefix = "images/" if fixture == "masks" else ""
    whole = run_tool("dataset", "check", kind, root)
    assert whole.code == 0 and "no problems" in whole.out
    assert "  images                     4\n" in whole.out and "left out" not in whole.out
    (root / "a.txt").write_text(f"{prefix}c/1.webp\n{prefix}b/10.png\n")
    sheet = tmp_path / "sheet.png"
    part = run_tool("dataset", "check", kind, root, "--split", "a.txt", "--json", "--sheet", sheet)
    report = json.loads(part.out)
    assert part.code == 0 and report["problems"] == []
    assert report["facts"]["suffixes"] == {".png": 1, ".webp": 1} and sheet.is_file()
    (root / "a.txt").write_text("no.jpg")
    wrong = run_tool("dataset", "check", kind, root, "--split", "a.txt")
    assert wrong.code == 2 and "a.txt, line 1" in wrong.err and wrong.err.count("\n") == 1


def test_the_check_compares_folders_and_labels_with_the_classes_file(
    classes: Path, run_tool: Callable[..., Any], masks: Path
) -> None:
    (classes / "classes.txt").write_text("d\nc\nimages\nlabels\n")
    report = json.loads(run_tool("dataset", "check", "classification", classes, "--json").out)
    assert report["folders_without_name"] == ["b"] and report["classes_without_images"] == ["d"]
    report = json.loads(run_tool("dataset", "check", "segmentation", masks, "--json").out)
    assert report["num_classes"] == 4 and report["absent_classes"] == ["3"]


def test_points_of_images_that_are_missing_are_refused(points: Path, log_lines: list[str]) -> None:
    (points / "b" / "2.JPG").rename(points / "b" / "2.heic")
    with pytest.raises(DataError, match=r"column image of points.csv\), found none for .*2.JPG"):
        PointsDataset(points)
    assert any("1 *.heic (b/2.heic)" in line for line in log_lines)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "points.csv: expected a table .* no such file.*ean dataset convert"),
        ("file,x,y\n", "found no column image in 'file,x,y'"),
        ("", "found no column image"),
        ("image,x,y\nb/2.JPG,3\n", "points.csv, line 2: expected an image and two numbers"),
        ("image,x,y\nb/2.JPG,3,4\nb/2.JPG,3,nan\n", "line 3: .* found 'b/2.JPG,3,nan'"),
        ("image,x,y\n,3,4\n", "line 2"),
        ("image,x,y\nb/2.JPG,3,5,4,5\n", "line 2: .* found 'b/2.JPG,3,5,4,5'"),  # decimal commas
        ("image,x,y\nb/2.JPG,300,4\n", r"2.JPG: .*\(300, 4\) in point 0.*; correct .*points.csv"),
    ],
)
def test_what_is_wrong_with_the_table_is_named(
    points: Path, table: str | None, message: str
) -> None:
    (points / "points.csv").unlink()
    if table is not None:
        (points / "points.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        PointsDataset(points)


def test_a_folder_can_be_a_split(points: Path) -> None:
    with pytest.raises(DataError, match="points.csv: expected a table"):
        PointsDataset(points, split="b")
    (points / "b" / "points.csv").write_text("image,x,y\n2.JPG,1,1\n")
    assert names(PointsDataset(points, split="b"), points / "b") == ["2.JPG", "10.png", "x.y.tif"]


def test_points_and_labels_obey_the_rule_on_turned_images(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg", orientation=3)
    write_labels(tmp_path / "labels" / "a.png", np.eye(12, 16))
    (tmp_path / "classes.txt").write_text("a\nb")
    (tmp_path / "images" / "points.csv").write_text("image,x,y\na.jpg,1,1\n")
    with pytest.raises(DataError, match="found EXIF orientation 3"):
        SegFolder(tmp_path, pipeline=[dict(type=LoadImage)])
    with pytest.raises(DataError, match="found EXIF orientation 3"):
        PointsDataset(tmp_path / "images", pipeline=[dict(type=LoadCountingImage)])
    clear = [dict(type=LoadCountingImage, exif="ignore")]
    assert len(PointsDataset(tmp_path / "images", pipeline=clear)) == 1


def test_segmentation_needs_classes(masks: Path) -> None:
    (masks / "classes.txt").unlink()
    with pytest.raises(ConfigError, match=r"classes.txt: expected the names of the classes"):
        SegFolder(masks)
    given = SegFolder(masks, metainfo=dict(classes=("a", "b", "c")), lazy_init=True)
    assert given.metainfo["classes"] == ("a", "b", "c")
    (masks / "classes.txt").write_text("a\nb\na\n")
    with pytest.raises(DataError, match="classes.txt, line 3: .* as in line 1"):
        read_classes(masks)


def test_images_may_lie_beside_the_labels_folder(masks: Path) -> None:
    for name in ("b", "c"):
        (masks / "images" / name).rename(masks / name)
    dataset = SegFolder(masks, images="", pipeline=[])
    assert sorted(names(dataset, masks)) == sorted(NAMES)


@pytest.mark.parametrize("kind", [ImageFolder, CamVidDataset])
def test_the_home_of_nobody_is_a_folder_that_is_missing(kind: type) -> None:
    with pytest.raises((DataError, FileNotFoundError), match="~nobody-here"):
        kind("~nobody-here", pipeline=[])
    assert read_classes("~nobody-here") is None


def test_a_part_is_a_folder_or_a_list(tmp_path: Path) -> None:
    assert part_of(tmp_path, "") == (tmp_path, None)
    assert part_of(tmp_path, "train") == (tmp_path / "train", None)
    assert part_of("~nobody-here", "train") == (Path("~nobody-here/train"), None)
    (tmp_path / "train.TXT").write_text("a\n b \n")
    part = part_of(tmp_path, "train.TXT")
    assert part.folder == tmp_path and part.chosen and part.chosen.lines == {"a": 1, "b": 2}
