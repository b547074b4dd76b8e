"""Images of more than 8 bits become images of 8, all scaled alike."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ean_transfer.data.conversion.depth import to_8_bits
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_image

DRAWN = np.random.default_rng(0).integers(100, 4000, (40, 50, 3), dtype=np.uint16)


def write(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), values)


def expected(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((values.astype(float) - low) / (high - low) * 255).clip(0, 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ppm", "a.pgm", "float.tiff", "alpha.png"])
def test_values_are_scaled_between_the_limits(tmp_path: Path, name: str) -> None:
    values = DRAWN[..., 0] if name == "a.pgm" else DRAWN
    if name == "float.tiff":
        values = values[..., 1].astype(np.float32)
    opaque = np.full((*DRAWN.shape[:2], 1), 65535, np.uint16)
    stored = np.concatenate([values, opaque], axis=2) if name == "alpha.png" else values
    write(tmp_path / "deep" / "sub" / name, stored)
    done = to_8_bits(tmp_path / "deep", tmp_path / "out", limits=(500, 3000))
    image = read_image(tmp_path / "out" / "sub" / name)
    grey = values.ndim == 2
    wanted = expected(values, 500, 3000)
    assert np.array_equal(image, np.repeat(wanted[..., None], 3, 2) if grey else wanted)
    share = ((values < 500) | (values > 3000)).mean()
    assert (done.images, done.outside) == (1, pytest.approx(share))


def test_all_images_are_scaled_alike_and_hot_pixels_take_no_range(tmp_path: Path) -> None:
    dark, bright = DRAWN[..., 0] // 8, DRAWN[..., 1].copy()
    bright[3, 4] = 65535
    write(tmp_path / "deep" / "dark.png", dark)
    write(tmp_path / "deep" / "bright.png", bright)
    (tmp_path / "deep" / "points.csv").write_text("image,x,y\n")
    done = to_8_bits(tmp_path / "deep", tmp_path / "out")
    low, high = np.quantile(dark, 0.001), np.quantile(bright, 0.999)
    assert (done.low, done.high) == (low, high) and high < 4000
    for name, values in (("dark.png", dark), ("bright.png", bright)):
        image = read_image(tmp_path / "out" / name)[..., 0]
        assert np.array_equal(image, expected(values, low, high))
    assert "left out 1 file" in done.left_out and "points.csv" in done.left_out


def test_values_that_are_no_numbers_become_black(tmp_path: Path) -> None:
    values = DRAWN[..., 0].astype(np.float32)
    values[:2], values[2] = np.nan, np.inf
    write(tmp_path / "deep" / "a.tiff", values)
    done = to_8_bits(tmp_path / "deep", tmp_path / "out")
    image = read_image(tmp_path / "out" / "a.tiff")[..., 0]
    assert (done.low, done.high) == tuple(np.quantile(values[3:], (0.001, 0.999)))
    assert not image[:2].any() and (image[2] == 255).all()
    assert np.array_equal(image[3:], expected(values[3:], done.low, done.high))


@pytest.mark.parametrize(
    ("values", "limits", "message"),
    [
        ((DRAWN // 16).astype(np.uint8), None, "more than 8 bits .* found Pillow's mode RGB"),
        (np.full((9, 9), 300, np.uint16), None, "several values, found 300 nearly everywhere"),
        (np.full((9, 9), np.nan, np.float32), None, "several values, found 0 nearly"),
        (DRAWN, (9.0, 9.0), "must be below the upper, found 9 and 9"),
    ],
)
def test_what_cannot_be_scaled_is_refused_and_leaves_nothing(
    tmp_path: Path, values: np.ndarray, limits: tuple[float, float] | None, message: str
) -> None:
    write(tmp_path / "deep" / "a.tiff", values)
    with pytest.raises((DataError, ConfigError), match=message):
        to_8_bits(tmp_path / "deep", tmp_path / "out", limits=limits)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_a_truncated_file_and_a_folder_without_images_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "b.png"
    write(tmp_path / "deep" / "a.png", DRAWN)
    write(file, DRAWN)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"b.png: expected an image, cannot read it"):
        to_8_bits(tmp_path / "deep", tmp_path / "out", limits=(0, 4095))
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    with pytest.raises(DataError, match="expected images that end in .* found none"):
        to_8_bits(tmp_path / "nowhere", tmp_path / "out")
