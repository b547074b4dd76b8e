"""Each data set in a tiny folder of its published format; what is wrong with one is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from mmengine.registry import DATASETS
from PIL import ExifTags, Image

from ean_transfer.crowd_counting.datasets import (
    CountingDataset,
    DotImageDataset,
    JHUCrowdDataset,
    NWPUCrowdDataset,
    QNRFDataset,
    ShanghaiTechDataset,
)
from ean_transfer.crowd_counting.density import density_map
from ean_transfer.errors import ConfigError, DataError
from tests.crowd_counting.folders import (
    HEIGHT,
    WIDTH,
    Images,
    nwpu_json,
    write_dots,
    write_image,
    write_jhu,
    write_nwpu,
    write_qnrf,
    write_shanghaitech,
    write_text,
)
from tests.helpers import ROOT

CROWD = ROOT / "data" / "crowd"
IMAGES: Images = {2: [(3, 4), (63, 47)], 10: [], 1: [(5, 6)]}
"""By number and out of order; one without people, one with a point in its last corner."""

Write = Callable[..., Path]
KINDS = ("shanghaitech", "qnrf", "jhu", "nwpu", "dots")
WRITE = dict(
    zip(KINDS, (write_shanghaitech, write_qnrf, write_jhu, write_nwpu, write_dots), strict=True)
)
every_format = pytest.mark.parametrize("kind", KINDS)
with_splits = pytest.mark.parametrize("kind", KINDS[:-1])


def opened(kind: str, root: Path, **options: Any) -> CountingDataset:
    names = dict(qnrf="QNRF", jhu="JHUCrowd", nwpu="NWPUCrowd", dots="DotImage")
    if kind == "shanghaitech":
        options = {"part": "B"} | options
    name = f"{names.get(kind, 'ShanghaiTech')}Dataset"
    return DATASETS.build(dict(type=name, data_root=root, **options))


def infos(dataset: CountingDataset) -> list[dict[str, Any]]:
    return [dataset.get_data_info(index) for index in range(len(dataset))]


@every_format
def test_points_are_read_in_the_order_of_the_numbers(tmp_path: Path, kind: str) -> None:
    WRITE[kind](tmp_path, IMAGES)
    read = infos(opened(kind, tmp_path))
    for info, number in zip(read, (1, 2, 10), strict=True):
        assert Path(info["img_path"]).stem.removesuffix("cell").endswith(f"{number}")
        assert (info["height"], info["width"]) == (HEIGHT, WIDTH)
        assert info["points"].dtype == np.float32
        np.testing.assert_array_equal(info["points"], np.reshape(IMAGES[number], (-1, 2)))
    assert [info["sample_idx"] for info in read] == [0, 1, 2]


@pytest.mark.parametrize("part", ["part_B", "part_B_final"])
@pytest.mark.parametrize("truth", ["ground-truth", "ground_truth"])
def test_shanghaitech_is_read_as_its_archives_unpack(tmp_path: Path, part: str, truth: str) -> None:
    folder = write_shanghaitech(tmp_path, IMAGES)
    (folder / "ground-truth").rename(folder / truth)
    (tmp_path / "part_B").rename(tmp_path / part)
    assert len(ShanghaiTechDataset(tmp_path, "B")) == 3


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".png", ".TIF", ".bmp", ".webp"])
@with_splits
def test_images_of_every_kind_are_read_and_other_files_are_counted(
    tmp_path: Path, kind: str, suffix: str, log_lines: list[str]
) -> None:
    WRITE[kind](tmp_path, {1: [(5, 6)]})
    (image,) = tmp_path.rglob("*1.jpg")
    other = image.with_suffix(suffix)
    Image.open(image).save(other)
    image.rename(image.with_suffix(".heic"))
    (info,) = infos(opened(kind, tmp_path))
    assert info["img_path"] == str(other) and info["points"].tolist() == [[5, 6]]
    assert any("left out 1 file" in line and "1 *.heic" in line for line in log_lines)


@pytest.mark.parametrize(
    ("kind", "split"),
    [("shanghaitech", "test"), ("qnrf", "test"), ("jhu", "val"), ("jhu", "test"), ("nwpu", "val")],
)
def test_each_split_has_its_own_images(tmp_path: Path, kind: str, split: str) -> None:
    WRITE[kind](tmp_path, {3: [(1, 1)]}, split)
    WRITE[kind](tmp_path, IMAGES)
    assert len(opened(kind, tmp_path, split=split)) == 1
    assert len(opened(kind, tmp_path)) == 3


@with_splits
def test_unknown_arguments_are_refused_with_the_choices(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match="split: expected 'train'.* 'test', found 'all'"):
        opened(kind, tmp_path, split="all")
    with pytest.raises(ConfigError, match="outside: expected 'error' or 'clamp', found 'drop'"):
        opened(kind, tmp_path, outside="drop")
    with pytest.raises(ConfigError, match="part: expected 'A' or 'B', found 'C'"):
        opened("shanghaitech", tmp_path, part="C")


@every_format
def test_missing_folder_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="nowhere.*: expected .*no such f"):
        opened(kind, tmp_path / "nowhere")


def test_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}: expected .* found none; check data_root"):
        DotImageDataset(tmp_path)


@pytest.mark.parametrize(
    ("kind", "image", "annotation"),
    [
        ("shanghaitech", "images/IMG_2.jpg", "ground-truth/GT_IMG_2.mat"),
        ("qnrf", "img_0002.jpg", "img_0002_ann.mat"),
        ("jhu", "images/0002.jpg", "gt/0002.txt"),
        ("nwpu", "images/0002.jpg", "jsons/0002.json"),
        ("dots", "002cell.png", "002dots.png"),
    ],
)
def test_missing_partner_is_named_both_ways(
    tmp_path: Path, kind: str, image: str, annotation: str
) -> None:
    for gone, left, named in (
        (annotation, image, "an annotation"),
        (image, annotation, "an image"),
    ):
        root = tmp_path / Path(gone).name
        root.mkdir()
        (WRITE[kind](root, IMAGES) / gone).unlink()
        with pytest.raises(DataError, match=f"expected {named} .*for .*/{Path(left).name};"):
            opened(kind, root)


@with_splits
def test_points_outside_can_be_refused_or_moved(tmp_path: Path, kind: str) -> None:
    WRITE[kind](tmp_path, {1: [(-1, 3), (66, 50), (1, 1)]})
    with pytest.raises(DataError, match=r"0*1\w*\.\w+: .*\(-1, 3\).*2 of 3 outside.*1\.jpg.*clamp"):
        opened(kind, tmp_path, outside="error")
    moved = opened(kind, tmp_path, outside="clamp").get_data_info(0)["points"]
    np.testing.assert_array_equal(moved, [(0, 3), (64, 48), (1, 1)])
    if kind != "shanghaitech":  # the others have such points as published
        np.testing.assert_array_equal(opened(kind, tmp_path).get_data_info(0)["points"], moved)


@pytest.mark.parametrize(
    ("points", "named"),
    [
        ([(WIDTH + 7, 3)], r"64 x 48.*\(71, 3\)"),  # more than a tenth of the longer side
        ([(1, 1), (np.nan, 3)], r"\(nan, 3\) in point 1"),
        ([(np.inf, 3)], r"\(inf, 3\)"),
        ([(1, 2, 3)], "N x 2"),
    ],
)
def test_points_that_clamping_must_not_hide_are_named(
    tmp_path: Path, points: Any, named: str
) -> None:
    write_qnrf(tmp_path, {1: [(WIDTH + 6, 3)], 2: points})
    with pytest.raises(DataError, match=rf"img_0002_ann\.mat: .*{named}.*image img_0002\.jpg"):
        QNRFDataset(tmp_path)


def test_indices_that_need_more_images_are_refused(tmp_path: Path) -> None:
    write_jhu(tmp_path, {1: [(1, 1)], 2: []})
    assert len(JHUCrowdDataset(tmp_path, indices=[1])) == 1
    for indices in ([0, 2], 3, -3):
        with pytest.raises(ConfigError, match="found 2 images, the config's indices need 3"):
            JHUCrowdDataset(tmp_path, indices=indices)


def test_capitals_and_jpeg_are_images_too(tmp_path: Path) -> None:
    folder = write_jhu(tmp_path, {1: [(1, 1)], 2: []}) / "images"
    (folder / "0001.jpg").rename(folder / "0001.JPG")
    (folder / "0002.jpg").rename(folder / "0002.jpeg")
    assert len(JHUCrowdDataset(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"x,y\n1,2\n", None])
@pytest.mark.parametrize(
    ("kind", "file"),
    [("shanghaitech", "ground-truth/GT_IMG_2.mat"), ("qnrf", "img_0002_ann.mat")],
)
def test_matlab_file_without_points_is_named(
    tmp_path: Path, kind: str, file: str, content: bytes | None
) -> None:
    path = WRITE[kind](tmp_path, IMAGES) / file
    if content is None:
        scipy.io.savemat(path, {"other": 1})
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}: expected a MATLAB file"):
        opened(kind, tmp_path)


@pytest.mark.parametrize(
    "line",
    ["1 2", "1 2 3 4 5 6 7", "1,2,3,4,5,6", "a b c d e f", "1.5 2 3 4 5 6", "", "\xff\xd8 4 5 6"],
)
def test_jhu_line_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    file = write_jhu(tmp_path, IMAGES) / "gt/0002.txt"
    file.write_text(f"5 6 12 14 1 0\n{line}\n7 8 12 14 1 0\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"gt/0002\.txt, line 2: expected six .*occlusion blur"):
        JHUCrowdDataset(tmp_path)


def test_nwpu_test_images_have_no_points(tmp_path: Path) -> None:
    write_image(tmp_path / "images_part4/3610.jpg")
    write_text(tmp_path / "test.txt", "3610 1 0\n")
    (info,) = infos(NWPUCrowdDataset(tmp_path, split="test"))
    assert "points" not in info
    assert (info["height"], info["width"]) == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (nwpu_json(1, [(5, 6)]), r"img_id 0002\.jpg, found '0001\.jpg'"),
        (nwpu_json(2, [(5, 6)], human_num=7), "human_num=7 and 1 points"),
        ("{", "expected JSON"),
        ("[]", "expected JSON"),
        ('{"img_id": "0002.jpg", "human_num": 1}', "expected JSON .*'points'"),
        ("\x80", "expected JSON"),
    ],
)
def test_nwpu_json_of_another_form_is_named(tmp_path: Path, text: str, named: str) -> None:
    (write_nwpu(tmp_path, IMAGES) / "jsons/0002.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=rf"0002\.json: .*{named}"):
        NWPUCrowdDataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("0001 0 2\nimage2 0 2\n", "line 2: .*'image2 0 2'"),
        ("0001 0 2\n1 0 2\n", "line 2: .* its own.*'1 0 2'"),
        ("0003 0 2\n", r"for 0003 of train\.txt; unpack all parts"),
        ("\n", "found an empty file"),
        (None, "found no such file"),
    ],
)
def test_nwpu_list_of_another_form_is_named(tmp_path: Path, text: str | None, named: str) -> None:
    write_nwpu(tmp_path, IMAGES)
    (tmp_path / "train.txt").unlink()
    if text is not None:
        write_text(tmp_path / "train.txt", text)
    with pytest.raises(DataError, match=rf"(train\.txt)?.*{named}"):
        NWPUCrowdDataset(tmp_path)


def test_nwpu_without_any_folder_of_images_says_which(tmp_path: Path) -> None:
    write_text(tmp_path / "train.txt", "0001 0 2\n")
    with pytest.raises(DataError, match="images: expected .* no such folder"):
        NWPUCrowdDataset(tmp_path)


def test_two_images_of_one_number_are_named(tmp_path: Path) -> None:
    write_nwpu(tmp_path, IMAGES)
    write_image(tmp_path / "images_part1/0002.jpg")
    with pytest.raises(DataError, match=r"part1/0002\.jpg .*/images/0002\.jpg.*; remove"):
        NWPUCrowdDataset(tmp_path)


def test_an_image_turned_by_its_camera_has_the_size_of_its_pixels_after_decoding(
    tmp_path: Path,
) -> None:
    write_jhu(tmp_path, {1: [(40, 60)]})
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "train/images/0001.jpg", exif=exif)
    (info,) = infos(JHUCrowdDataset(tmp_path))
    assert (info["height"], info["width"]) == (WIDTH, HEIGHT)


@every_format
def test_data_sets_can_be_sent_to_a_worker(tmp_path: Path, kind: str) -> None:
    WRITE[kind](tmp_path, IMAGES)
    assert len(pickle.loads(pickle.dumps(opened(kind, tmp_path)))) == 3


@pytest.mark.realdata
@pytest.mark.skipif(not CROWD.is_dir(), reason="data/crowd absent: unpack the data")
def test_real_crowds_have_their_counts() -> None:
    counts = []
    for split, images in (("train", 30), ("test", 4)):
        read = infos(ShanghaiTechDataset(CROWD, part="B", split=split))
        assert len(read) == images
        counts += [len(info["points"]) for info in read]
        for info in read:
            density = density_map(info["points"], (info["height"], info["width"]))
            assert density.sum() == pytest.approx(len(info["points"]), abs=1e-3)
    assert (min(counts), max(counts)) == (3, 53)
