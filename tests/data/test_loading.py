"""Images are read as OpenCV reads them, or refused by name; images that are there are taken."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from ean_transfer.data.loading import LoadImage
from ean_transfer.errors import DataError
from ean_transfer.io import images

NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def load(path):
    return LoadImage()({"img_path": str(path)})


def test_an_image_that_is_there_is_taken_as_it_is():
    results = LoadImage()({"img": NOISE})
    assert results["img"] is NOISE
    assert results["img_shape"] == results["ori_shape"] == (40, 60)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_image_is_read_as_opencv_reads_it(tmp_path, kind):
    file = tmp_path / "image"
    file.write_bytes(encoded(Image.fromarray(NOISE), kind))
    results = load(file)
    assert results["img_shape"] == results["ori_shape"] == (40, 60)
    assert results["img"].dtype == np.uint8
    assert results["img"].flags.c_contiguous
    np.testing.assert_array_equal(results["img"], cv2.imread(str(file)))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_grey_palette_and_alpha_become_bgr(tmp_path, mode):
    image = Image.fromarray(NOISE).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(NOISE[..., 0]))
    image.save(tmp_path / "image.png")
    expected = cv2.imread(str(tmp_path / "image.png"))
    np.testing.assert_array_equal(load(tmp_path / "image.png")["img"], expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "progressive"])
@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.99])
def test_truncated_image_is_named(tmp_path, kind, part):
    options = {}
    if kind == "progressive":
        kind, options = "JPEG", {"progressive": True}
    content = encoded(Image.fromarray(NOISE), kind, **options)
    file = tmp_path / "IMG_1.jpg"
    file.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=r"IMG_1\.jpg: expected an image.*fetch it again"):
        load(file)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_images_beyond_pillow_s_limit_are_read_and_it_stays(tmp_path, monkeypatch, kind):
    Image.fromarray(NOISE).save(tmp_path / "large", kind)
    before = load(tmp_path / "large")["img"]
    for limit in (NOISE.size // 3 - 1, 10):  # of a warning, of an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        np.testing.assert_array_equal(load(tmp_path / "large")["img"], before)
        assert limit == Image.MAX_IMAGE_PIXELS
    (tmp_path / "large").write_bytes(b"")
    with pytest.raises(DataError):
        load(tmp_path / "large")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_images_beyond_our_limit_are_not_to_be_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 2399)
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"a\.png: expected at most 2399 pixels, found 60 x 40; cut"
    ):
        load(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 2400)
    assert load(tmp_path / "a.png")["img_shape"] == (40, 60)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"IMG_1\.jpg: expected an image"):
        load(tmp_path / "IMG_1.jpg")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_more_than_8_bits_are_refused(tmp_path, dtype):
    Image.fromarray(NOISE[..., 0].astype(dtype)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match=r"deep\.tif: expected 8 bits .*, found .*mode [IF]"):
        load(tmp_path / "deep.tif")
