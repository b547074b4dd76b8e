"""Dot images: red pixels are points, and what is no dot image is named."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from zlib import compress, crc32

import cv2
import numpy as np
import pytest
from PIL import Image

from ean_transfer.crowd_counting.datasets import DotImageDataset
from ean_transfer.crowd_counting.density import density_map
from ean_transfer.crowd_counting.folder_report import check_dataset
from ean_transfer.errors import DataError
from tests.crowd_counting.folders import HEIGHT, WIDTH, write_dots, write_image
from tests.helpers import ROOT

DATA = ROOT / "data" / "cells"
CORNERS = [(0, 0), (63, 5), (63, 47)]


def counts(root: Path, **options: object) -> list[int]:
    dataset = DotImageDataset(root, **options)
    return [len(dataset.get_data_info(index)["points"]) for index in range(len(dataset))]


def test_red_pixels_are_points_and_indices_choose_images(tmp_path: Path) -> None:
    write_dots(tmp_path, {number: CORNERS[:number] for number in range(4)})
    info = DotImageDataset(tmp_path).get_data_info(3)
    assert info["img_path"].endswith("003cell.png")
    np.testing.assert_array_equal(info["points"], CORNERS)
    assert counts(tmp_path, indices=2) == [0, 1]
    assert counts(tmp_path, indices=-1) == [3]
    assert counts(tmp_path, indices=[1, 2]) == [1, 2]


@pytest.mark.parametrize(
    ("dots", "named"),
    [
        (np.full((HEIGHT, WIDTH, 3), 40, np.uint8), rf"expected red .* {HEIGHT * WIDTH} others"),
        (np.zeros((HEIGHT, HEIGHT, 3), np.uint8), rf"1cell\.png, {WIDTH} x {HEIGHT} pixels"),
        (None, "expected an image"),
    ],
)
def test_other_files_in_place_of_dots_are_named(
    tmp_path: Path, dots: np.ndarray | None, named: str
) -> None:
    file = write_dots(tmp_path, {1: CORNERS}) / "001dots.png"
    if dots is None:
        file.write_bytes(b"")
    else:
        cv2.imwrite(str(file), dots)
    with pytest.raises(DataError, match=rf"001dots\.png: .*{named}"):
        DotImageDataset(tmp_path)
    assert list(check_dataset("dots", tmp_path).unreadable_annotations) == ["001dots.png"]


def test_images_of_more_than_8_bits_are_refused_at_once(tmp_path: Path) -> None:
    write_dots(tmp_path, {1: []})
    cv2.imwrite(str(tmp_path / "001cell.png"), np.zeros((HEIGHT, WIDTH), np.uint16))
    with pytest.raises(DataError, match=r"001cell\.png: expected 8 bits"):
        DotImageDataset(tmp_path)
    assert "8 bits" in check_dataset("dots", tmp_path).unreadable_images["001cell.png"]


def draw(points: list[tuple[int, int]], colour: Any, radius: int = 0) -> np.ndarray:
    """Dots of a colour (RGB) on black; with a radius, discs."""
    dots = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for x, y in points:
        cv2.circle(dots, (x, y), radius, colour[::-1], cv2.FILLED)
    return dots


APART = [(4, 4), (20, 9), (40, 30), (60, 44), (33, 12)]


def sorted_points(root: Path, **options: Any) -> list[list[float]]:
    return sorted(DotImageDataset(root, **options).get_data_info(0)["points"].tolist())


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 255, 0), (1, 1, 1), (255, 0, 0)])
def test_dots_of_any_one_colour_are_points(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    cv2.imwrite(str(write_dots(tmp_path, {1: []}) / "001dots.png"), draw(APART, colour))
    assert sorted_points(tmp_path, dots="any") == sorted(map(list, APART))
    if colour != (255, 0, 0):
        with pytest.raises(DataError, match=rf"{colour[0]}, .*set dots=\"any\""):
            DotImageDataset(tmp_path)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("palette", [False, True])
def test_dots_of_every_bit_depth_are_points(tmp_path: Path, bits: int, palette: bool) -> None:
    labels = (draw(APART, (1, 1, 1))[..., 0]).astype(np.uint8)
    image = Image.fromarray(labels if palette else 255 * labels)
    if palette:
        image.putpalette([0, 0, 0, 128, 0, 0])
        image.save(write_dots(tmp_path, {1: []}) / "001dots.png", bits=bits)
    else:
        write_png(write_dots(tmp_path, {1: []}) / "001dots.png", labels, bits)
    assert sorted_points(tmp_path, dots="any") == sorted(map(list, APART))


def write_png(path: Path, labels: np.ndarray, bits: int) -> None:
    """A grey PNG of 0 and 1 with this many bits per pixel, which Pillow reads but cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    rows = [
        np.packbits(np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel()) for row in labels
    ]
    head = struct.pack(">IIBBBBB", labels.shape[1], labels.shape[0], bits, 0, 0, 0, 0)
    pixels = compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize(("suffix", "quality"), [(".jpg", 75), (".jpg", 95), (".png", None)])
@pytest.mark.parametrize(
    ("radius", "colour"),
    [(0, (255, 255, 255)), (1, (255, 255, 255)), (1, (255, 0, 0)), (2, (0, 255, 0))],
)
def test_groups_of_bright_pixels_are_points_at_their_centres(
    tmp_path: Path, suffix: str, quality: int | None, radius: int, colour: tuple[int, int, int]
) -> None:
    write_dots(tmp_path, {1: []})
    dots = Image.fromarray(draw(APART, colour, radius)[..., ::-1])
    dots.save(tmp_path / f"001dots{suffix}", **({} if quality is None else {"quality": quality}))
    read = sorted_points(tmp_path, dots="blobs", dots_suffix=f"dots{suffix}")
    assert len(read) == len(APART)
    np.testing.assert_allclose(read, sorted(APART), atol=1)
    # Its pixels would be other numbers of objects.
    if radius or suffix == ".jpg":
        with pytest.raises(DataError, match='dots="blobs"'):
            DotImageDataset(tmp_path, dots_suffix=f"dots{suffix}", dots="any")


@pytest.mark.parametrize("radius", [1, 2])
def test_what_a_jpeg_once_left_around_the_dots_of_a_png_is_no_object(
    tmp_path: Path, radius: int
) -> None:
    write_dots(tmp_path, {1: []})
    dots = Image.fromarray(draw(APART, (255, 255, 255), radius))
    dots.save(tmp_path / "once.jpg", quality=75)
    Image.open(tmp_path / "once.jpg").save(tmp_path / "001dots.png")
    assert len(sorted_points(tmp_path, dots="blobs")) == len(APART)


def test_a_jpeg_of_no_dots_has_none_although_it_is_not_quite_black(tmp_path: Path) -> None:
    write_dots(tmp_path, {1: []})
    noise = np.random.default_rng(0).integers(0, 8, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "001dots.jpg")
    assert sorted_points(tmp_path, dots="blobs", dots_suffix="dots.jpg") == []


def test_dots_that_a_jpeg_has_worn_off_are_refused_and_not_missed(tmp_path: Path) -> None:
    write_dots(tmp_path, {1: []})
    Image.fromarray(draw(APART, (255, 0, 0))[..., ::-1]).save(tmp_path / "001dots.jpg", quality=75)
    with pytest.raises(DataError, match=r"001dots\.jpg: .* the brightest 55 of 255; .* worn off"):
        DotImageDataset(tmp_path, dots="blobs", dots_suffix="dots.jpg")


@pytest.mark.parametrize("dots", ["red", "any", "blobs"])
def test_a_photograph_or_dark_dots_on_white_are_never_points(tmp_path: Path, dots: Any) -> None:
    file = write_dots(tmp_path, {1: []}) / "001dots.png"
    for pixels in (255 - draw(APART, (255, 255, 255)), cv2.imread(str(tmp_path / "001cell.png"))):
        cv2.imwrite(str(file), pixels)
        with pytest.raises(DataError, match=r"dots\.png: expected .*(original|group)"):
            DotImageDataset(tmp_path, dots=dots)


@pytest.mark.parametrize(
    ("image", "dots", "options"),
    [
        ("raw/a 1.png", "gt/a 1.png", dict(image_suffix=".png", dots_suffix=".png")),
        ("raw/a1.TIF", "gt/A01.png", dict(image_suffix=[".jpg", ".tif"], dots_suffix=".png")),
        ("a1.png", "a1_dots.png", dict(image_suffix=".png", dots_suffix="_dots.png")),
        ("a1_rgb.png", "a1.png", dict(image_suffix="_rgb.png", dots_suffix=".png")),
    ],
)
def test_images_and_dots_may_have_other_names_and_folders(
    tmp_path: Path, image: str, dots: str, options: dict[str, Any]
) -> None:
    folders = dict(image_folder=str(Path(image).parent), dots_folder=str(Path(dots).parent))
    for file, pixels in ((image, draw([], (0, 0, 0)) + 9), (dots, draw(APART, (255, 0, 0)))):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[..., ::-1]).save(tmp_path / file)
    dataset = DotImageDataset(tmp_path, **folders, **options)
    assert len(dataset) == 1
    assert Path(dataset.get_data_info(0)["img_path"]) == tmp_path / image
    assert sorted_points(tmp_path, **folders, **options) == sorted(map(list, APART))


def test_a_folder_of_other_names_says_what_is_there_and_which_options_fit(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.tif")
    with pytest.raises(DataError, match=r"set image_folder and image_suffix .*3 \*\.tif \(0\.tif"):
        DotImageDataset(tmp_path)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="data/cells absent: unpack the data")
def test_real_cells_have_their_published_counts() -> None:
    numbers = counts(DATA)
    assert (len(numbers), min(numbers), max(numbers)) == (200, 74, 317)
    assert round(np.mean(numbers)) == 176
    dataset = DotImageDataset(DATA)
    for info in map(dataset.get_data_info, range(0, 200, 40)):
        density = density_map(info["points"], (info["height"], info["width"]))
        assert density.sum() == pytest.approx(len(info["points"]), abs=1e-3)


@pytest.mark.parametrize("value", [1, 9, 255])
def test_groups_of_a_mask_are_points_however_dark_its_value_is(tmp_path: Path, value: int) -> None:
    cv2.imwrite(str(write_dots(tmp_path, {1: []}) / "001dots.png"), draw(APART, (value,) * 3, 1))
    assert sorted_points(tmp_path, dots="blobs") == sorted(map(list, APART))
    with pytest.raises(DataError, match='set dots="blobs" if each group of bright pixels'):
        DotImageDataset(tmp_path)


@pytest.mark.parametrize("values", [(1, 2, 3, 4, 5), (30, 60, 90, 120, 150)])
def test_objects_of_a_mask_that_numbers_them_are_never_missed(
    tmp_path: Path, values: tuple[int, ...]
) -> None:
    dots = sum(draw([at], (value,) * 3, 1) for at, value in zip(APART, values, strict=True))
    cv2.imwrite(str(write_dots(tmp_path, {1: []}) / "001dots.png"), dots)
    with pytest.raises(DataError, match=r"001dots\.png: .*no mask that numbers its objects"):
        DotImageDataset(tmp_path, dots="blobs")
