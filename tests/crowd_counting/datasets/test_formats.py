"""Each data set in a tiny folder of its published format, and random parts of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import ConfigDict
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets import (
    CountingDataset,
    DotImageDataset,
    Draw,
    JHUCrowdDataset,
    NWPUCrowdDataset,
    QNRFDataset,
    ShanghaiTechDataset,
)
from ean_transfer.crowd_counting.folder_report import check_dataset
from ean_transfer.errors import ConfigError, DataError

WIDTH, HEIGHT = 64, 48
Points = Sequence[tuple[float, float]]
IMAGES: dict[int, Points] = {2: [(3, 4), (64, 48)], 10: [], 1: [(5, 6)]}
"""By number and out of order; one without people, one with a point in its last corner."""


@pytest.fixture(autouse=True)
def quick_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmengine collects garbage for each data set, which takes longer than these tests."""
    monkeypatch.setattr("mmengine.dataset.base_dataset.gc.collect", lambda: 0)


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_qnrf(root: Path, images: dict[int, Points], folder: str = "Train") -> Path:
    for number, points in images.items():
        write_image(root / folder / f"img_{number:04d}.jpg")
        scipy.io.savemat(root / folder / f"img_{number:04d}_ann.mat", {"annPoints": points})
    return root / folder


def write_jhu(root: Path, images: dict[int, Points], folder: str = "train") -> Path:
    for number, points in images.items():
        write_image(root / folder / f"images/{number:04d}.jpg")
        lines = [f"{x:.0f} {y:.0f} 12 14 1 0\n" for x, y in points]
        write_text(root / folder / f"gt/{number:04d}.txt", "".join(lines))
    return root / folder


def nwpu_json(number: int, points: Points, **changes: Any) -> str:
    content = {"img_id": f"{number:04d}.jpg", "human_num": len(points), "points": points}
    boxes = [[x - 1, y - 1, x + 1, y + 1] for x, y in points]
    return json.dumps(content | {"boxes": boxes} | changes)


def write_nwpu(root: Path, images: dict[int, Points], split: str = "train") -> Path:
    for number, points in images.items():
        part = "images" if number < 10 else "images_part5"
        write_image(root / part / f"{number:04d}.jpg")
        write_text(root / f"jsons/{number:04d}.json", nwpu_json(number, points))
    lines = [f"{number:04d} 0 2\n" for number in images]
    write_text(root / f"{split}.txt", "".join(lines))
    return root


def infos(dataset: CountingDataset) -> list[dict[str, Any]]:
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def names(dataset: CountingDataset) -> list[str]:
    return [Path(info["img_path"]).name for info in infos(dataset)]


FORMATS = [(QNRFDataset, write_qnrf), (JHUCrowdDataset, write_jhu), (NWPUCrowdDataset, write_nwpu)]
every_format = pytest.mark.parametrize(("cls", "write"), FORMATS)


@every_format
def test_points_are_read_in_the_order_of_the_numbers(
    tmp_path: Path, cls: type[CountingDataset], write: Callable[..., Path]
) -> None:
    write(tmp_path, IMAGES)
    dataset = DATASETS.build(dict(type=cls.__name__, data_root=tmp_path))
    assert [int(Path(name).stem[-4:]) for name in names(dataset)] == [1, 2, 10]
    for info, points in zip(infos(dataset), ([(5, 6)], [(3, 4), (64, 48)], []), strict=True):
        assert (info["height"], info["width"]) == (HEIGHT, WIDTH)
        assert info["points"].dtype == np.float32 and info["points"].shape == (len(points), 2)
        np.testing.assert_array_equal(info["points"], np.reshape(points, (-1, 2)))


@pytest.mark.parametrize(
    ("cls", "write", "split", "folder"),
    [
        (QNRFDataset, write_qnrf, "test", "Test"),
        (JHUCrowdDataset, write_jhu, "val", "val"),
        (JHUCrowdDataset, write_jhu, "test", "test"),
        (NWPUCrowdDataset, write_nwpu, "val", "val"),
    ],
)
def test_each_split_has_its_own_images(
    tmp_path: Path,
    cls: type[CountingDataset],
    write: Callable[..., Path],
    split: str,
    folder: str,
) -> None:
    write(tmp_path, {3: [(1, 1)]}, folder)
    write(tmp_path, IMAGES)
    assert len(cls(tmp_path, split=split)) == 1
    assert len(cls(tmp_path)) == 3


@every_format
def test_unknown_split_is_refused(
    tmp_path: Path, cls: type[CountingDataset], write: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match='expected split as "train" or .*"test", found "?\'all'):
        cls(tmp_path, split="all")


@every_format
def test_missing_folder_is_named(
    tmp_path: Path, cls: type[CountingDataset], write: Callable[..., Path]
) -> None:
    with pytest.raises(DataError, match=r"nowhere.*: expected a folder.*check data_root"):
        cls(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("cls", "write", "image", "annotation"),
    [
        (QNRFDataset, write_qnrf, "Train/img_0002.jpg", "Train/img_0002_ann.mat"),
        (JHUCrowdDataset, write_jhu, "train/images/0002.jpg", "train/gt/0002.txt"),
        (NWPUCrowdDataset, write_nwpu, "images/0002.jpg", "jsons/0002.json"),
    ],
)
def test_missing_partner_is_named_both_ways(
    tmp_path: Path,
    cls: type[CountingDataset],
    write: Callable[..., Path],
    image: str,
    annotation: str,
) -> None:
    write(tmp_path / "no_annotation", IMAGES)
    (tmp_path / "no_annotation" / annotation).unlink()
    with pytest.raises(DataError, match=f"expected an annotation.*for {Path(image).name};"):
        cls(tmp_path / "no_annotation")
    write(tmp_path / "no_image", IMAGES)
    (tmp_path / "no_image" / image).unlink()
    with pytest.raises(DataError, match=f"expected an image.*for {Path(annotation).name};"):
        cls(tmp_path / "no_image")


@every_format
def test_points_outside_can_be_refused_or_moved(
    tmp_path: Path, cls: type[CountingDataset], write: Callable[..., Path]
) -> None:
    write(tmp_path, {1: [(-1, 3), (66, 50), (1, 1)]})
    with pytest.raises(DataError, match=r"0*1\w*\.\w+: .*\(-1, 3\).*2 of 3 outside.*clamp"):
        cls(tmp_path, outside="error")
    moved = cls(tmp_path, outside="clamp").get_data_info(0)["points"]
    np.testing.assert_array_equal(moved, [(0, 3), (64, 48), (1, 1)])


def test_data_sets_with_points_outside_move_them_by_default(tmp_path: Path) -> None:
    points = {1: [(WIDTH + 0.5, 3)]}
    write_qnrf(tmp_path, points)
    write_nwpu(tmp_path, points)
    write_jhu(tmp_path, {1: [(WIDTH + 1, 3)]})
    assert infos(QNRFDataset(tmp_path))[0]["points"].tolist() == [[WIDTH, 3]]
    assert infos(NWPUCrowdDataset(tmp_path))[0]["points"].tolist() == [[WIDTH, 3]]
    assert infos(JHUCrowdDataset(tmp_path))[0]["points"].tolist() == [[WIDTH, 3]]


def test_points_too_far_outside_are_of_another_image(tmp_path: Path) -> None:
    write_qnrf(tmp_path, {1: [(WIDTH + 6, 3)], 2: [(WIDTH + 7, 3)]})
    with pytest.raises(DataError, match=r"img_0002_ann\.mat: .*\(71, 3\).*image img_0002\.jpg"):
        QNRFDataset(tmp_path)


def test_indices_that_need_more_images_are_refused(tmp_path: Path) -> None:
    write_jhu(tmp_path, {1: [(1, 1)], 2: []})
    assert len(JHUCrowdDataset(tmp_path, indices=[1])) == 1
    for indices in ([0, 2], 3, -3):
        with pytest.raises(ConfigError, match="found 2 images, the config's indices need 3"):
            JHUCrowdDataset(tmp_path, indices=indices)


def test_capitals_and_jpeg_are_images_too(tmp_path: Path) -> None:
    write_jhu(tmp_path, {1: [(1, 1)], 2: []})
    folder = tmp_path / "train" / "images"
    (folder / "0001.jpg").rename(folder / "0001.JPG")
    (folder / "0002.jpg").rename(folder / "0002.jpeg")
    assert len(JHUCrowdDataset(tmp_path)) == 2


def test_dots_of_another_size_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1cell.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "1dots.png"), np.zeros((HEIGHT, HEIGHT, 3), np.uint8))
    with pytest.raises(DataError, match=rf"1dots\.png: .* 1cell\.png, {WIDTH} x {HEIGHT} pixels"):
        DotImageDataset(tmp_path)
    report = check_dataset("dots", tmp_path)
    assert list(report.unreadable_annotations) == ["1dots.png"]


def test_images_of_more_than_8_bits_are_refused_at_once(tmp_path: Path) -> None:
    deep = np.zeros((HEIGHT, WIDTH), np.uint16)
    cv2.imwrite(str(tmp_path / "1cell.png"), deep)
    cv2.imwrite(str(tmp_path / "1dots.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(DataError, match=r"1cell\.png: expected 8 bits per channel"):
        DotImageDataset(tmp_path)
    assert "8 bits" in check_dataset("dots", tmp_path).unreadable_images["1cell.png"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_clamping_does_not_hide_what_is_not_finite(tmp_path: Path, value: float) -> None:
    write_qnrf(tmp_path, {1: [(value, 3)]})
    with pytest.raises(DataError, match=r"img_0001_ann\.mat: expected finite.*img_0001\.jpg"):
        QNRFDataset(tmp_path)


@pytest.mark.parametrize("content", [b"x,y\n1,2\n", None])
def test_qnrf_file_without_points_is_named(tmp_path: Path, content: bytes | None) -> None:
    folder = write_qnrf(tmp_path, IMAGES)
    if content is None:
        scipy.io.savemat(folder / "img_0002_ann.mat", {"other": 1})
    else:
        (folder / "img_0002_ann.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"img_0002_ann\.mat: expected a MATLAB.*annPoints"):
        QNRFDataset(tmp_path)


def test_points_of_another_shape_are_named(tmp_path: Path) -> None:
    write_qnrf(tmp_path, {1: [(1, 2, 3)]})  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"img_0001_ann\.mat: expected points as N x 2"):
        QNRFDataset(tmp_path)


@pytest.mark.parametrize(
    "line", ["1 2", "1 2 3 4 5 6 7", "1,2,3,4,5,6", "a b c d e f", "1.5 2 3 4 5 6", ""]
)
def test_jhu_line_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    folder = write_jhu(tmp_path, IMAGES)
    (folder / "gt/0002.txt").write_text(f"5 6 12 14 1 0\n{line}\n7 8 12 14 1 0\n")
    with pytest.raises(DataError, match=r"gt/0002\.txt, line 2: expected six .*occlusion blur"):
        JHUCrowdDataset(tmp_path)


def test_jhu_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    folder = write_jhu(tmp_path, IMAGES)
    (folder / "gt/0002.txt").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"gt/0002\.txt: expected lines of numbers"):
        JHUCrowdDataset(tmp_path)


def test_nwpu_test_images_have_no_points(tmp_path: Path) -> None:
    write_image(tmp_path / "images_part4/3610.jpg")
    write_text(tmp_path / "test.txt", "3610 1 0\n")
    (info,) = infos(NWPUCrowdDataset(tmp_path, split="test"))
    assert "points" not in info
    assert (info["height"], info["width"]) == (HEIGHT, WIDTH)


def test_nwpu_annotation_of_another_image_is_named_with_both(tmp_path: Path) -> None:
    write_nwpu(tmp_path, IMAGES)
    write_text(tmp_path / "jsons/0002.json", nwpu_json(1, [(5, 6)]))
    with pytest.raises(DataError, match=r"0002\.json: .* of 0002\.jpg, found img_id '0001\.jpg'"):
        NWPUCrowdDataset(tmp_path)


def test_nwpu_count_that_disagrees_is_named(tmp_path: Path) -> None:
    write_nwpu(tmp_path, IMAGES)
    write_text(tmp_path / "jsons/0002.json", nwpu_json(2, [(5, 6)], human_num=7))
    with pytest.raises(DataError, match=r"0002\.json: .*human_num=7, found 1"):
        NWPUCrowdDataset(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"img_id": "0002.jpg", "human_num": 1}', "\x80"])
def test_nwpu_json_of_another_form_is_named(tmp_path: Path, text: str) -> None:
    write_nwpu(tmp_path, IMAGES)
    (tmp_path / "jsons/0002.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"0002\.json: expected JSON with img_id, human_num and a"):
        NWPUCrowdDataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0001 0 2\nimage2 0 2\n", r"line 2: expected .*'image2 0 2'"),
        ("0001 0 2\n1 0 2\n", "line 2: id 1 is there twice"),
        ("\n", "found an empty file"),
        (None, "expected the list of the split"),
    ],
)
def test_nwpu_list_of_another_form_is_named(tmp_path: Path, text: str | None, problem: str) -> None:
    write_nwpu(tmp_path, IMAGES)
    (tmp_path / "train.txt").unlink()
    if text is not None:
        write_text(tmp_path / "train.txt", text)
    with pytest.raises(DataError, match=rf"train\.txt.*{problem}"):
        NWPUCrowdDataset(tmp_path)


def test_nwpu_listed_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_nwpu(tmp_path, IMAGES)
    write_text(tmp_path / "val.txt", "0001 0 2\n0003 0 2\n")
    with pytest.raises(DataError, match=r"found none for 0003 of val\.txt; unpack all parts"):
        NWPUCrowdDataset(tmp_path, split="val")


def test_nwpu_without_any_folder_of_images_says_which(tmp_path: Path) -> None:
    write_text(tmp_path / "train.txt", "0001 0 2\n")
    with pytest.raises(DataError, match="expected a folder images, or images_part1 to"):
        NWPUCrowdDataset(tmp_path)


def test_two_images_of_one_number_are_named(tmp_path: Path) -> None:
    write_nwpu(tmp_path, IMAGES)
    write_image(tmp_path / "images_part1/0002.jpg")
    with pytest.raises(DataError, match=r"images: 0002\.jpg and .*part1/0002\.jpg have the same"):
        NWPUCrowdDataset(tmp_path)


def test_an_image_turned_by_its_camera_has_the_size_of_its_pixels_after_decoding(
    tmp_path: Path,
) -> None:
    from PIL import ExifTags, Image

    write_jhu(tmp_path, {1: [(40, 60)]})
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "train/images/0001.jpg", exif=exif)
    (info,) = infos(JHUCrowdDataset(tmp_path))
    assert (info["height"], info["width"]) == (WIDTH, HEIGHT)


@given(
    pool=st.integers(1, 60),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    others=st.integers(0, 5),
)
def test_a_draw_and_its_rest_are_the_pool(pool: int, share: float, seed: int, others: int) -> None:
    size = max(1, round(share * pool))
    drawn = Draw(pool, size, seed).indices(pool + others)
    assert len(drawn) == size and drawn == sorted(set(drawn))
    assert drawn == Draw(pool, size, seed).indices(pool)
    if size < pool:
        rest = Draw(pool, size, seed, rest=True).indices(pool + others)
        assert rest == sorted(rest)
        assert sorted(drawn + rest) == list(range(pool))
        assert set(drawn) < set(Draw(pool, size + 1, seed).indices(pool))


def test_another_seed_draws_other_images() -> None:
    assert len({tuple(Draw(100, 50, seed).indices(200)) for seed in range(20)}) == 20


def test_a_draw_is_the_same_for_ever() -> None:
    assert Draw(10, 4, seed=0).indices(10) == [2, 4, 8, 9]


@pytest.mark.parametrize("draw", [dict(pool=5, size=3), ConfigDict(pool=5, size=3, seed=0)])
def test_a_data_set_keeps_what_is_drawn(tmp_path: Path, draw: dict[str, Any]) -> None:
    write_jhu(tmp_path, {number: [(number, 1)] for number in range(1, 8)})
    drawn = names(JHUCrowdDataset(tmp_path, draw=draw))
    rest = names(JHUCrowdDataset(tmp_path, draw=dict(draw, rest=True)))
    assert len(drawn) == 3 and drawn == sorted(drawn)
    assert sorted(drawn + rest) == [f"{number:04d}.jpg" for number in range(1, 6)]
    assert names(JHUCrowdDataset(tmp_path, draw=draw, indices=-1)) == drawn[-1:]


@pytest.mark.parametrize(
    ("draw", "problem"),
    [
        (dict(pool=5, size=6), "size=6 images out of pool=5"),
        (dict(pool=8, size=3), "pool=8 is more than the data set's 7 images"),
        (dict(pool=5, size=5, rest=True), "leaves no rest"),
        (dict(pool=5, size=0), "size as a whole number from 1, found 0"),
        (dict(pool=5, size=2.5), "size as a whole number from 1, found 2.5"),
        (dict(pool=True, size=1), "pool as a whole number"),
        (dict(pool=5, size=2, seed=-1), "seed as a whole number from 0"),
        (dict(pool=5, size=2, seed=2**32), r"seed below 2\*\*32"),
        (dict(pool=5, size=2, rest=1), "rest as True or False"),
        (dict(pool=5, size=2, part=1), "unknown part; it takes pool, size, seed, rest"),
        (dict(size=2), "pool missing"),
    ],
)
def test_a_draw_that_does_not_fit_is_refused(
    tmp_path: Path, draw: dict[str, Any], problem: str
) -> None:
    write_jhu(tmp_path, {number: [] for number in range(1, 8)})
    with pytest.raises(ConfigError, match=f"draw: .*{problem}"):
        JHUCrowdDataset(tmp_path, draw=draw)


def test_every_data_set_takes_a_draw(tmp_path: Path) -> None:
    for cls in (QNRFDataset, NWPUCrowdDataset, DotImageDataset):
        assert cls(tmp_path, draw=dict(pool=2, size=1), lazy_init=True).draw == Draw(2, 1)
    assert ShanghaiTechDataset(tmp_path, "A", draw=dict(pool=2, size=1), lazy_init=True).draw
