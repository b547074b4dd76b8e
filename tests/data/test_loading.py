"""Images are read as OpenCV reads them, or refused by name; images that are there are taken."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image

from ean_transfer.data.loading import (
    LoadImage,
    exif_of,
    refuse_unclear_orientation,
    turned_images,
)
from ean_transfer.errors import ConfigError, DataError
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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_is_turned_as_its_exif_says_unless_that_is_to_be_ignored(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE).save(tmp_path / "a.jpg", exif=exif, quality=100)
    turned = load(tmp_path / "a.jpg")
    shape = (60, 40) if orientation > 4 else (40, 60)
    assert turned["img_shape"] == turned["ori_shape"] == turned["img"].shape[:2] == shape
    np.testing.assert_array_equal(turned["img"], cv2.imread(str(tmp_path / "a.jpg")))
    results = LoadImage(exif="ignore")({"img_path": str(tmp_path / "a.jpg")})
    stored = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    np.testing.assert_array_equal(results["img"], stored)
    applied = LoadImage(exif="apply")({"img_path": str(tmp_path / "a.jpg")})
    np.testing.assert_array_equal(applied["img"], turned["img"])


def test_exif_is_applied_or_ignored(tmp_path):
    with pytest.raises(ConfigError, match="LoadImage: exif: .*'turn'"):
        LoadImage(exif="turn")


def test_what_a_pipeline_does_with_exif_is_known():
    resize = dict(type="Resize", scale=(3, 3))
    assert exif_of(Compose([LoadImage(exif="ignore"), resize]).transforms) == "ignore"
    assert exif_of(Compose([LoadImage()]).transforms) is exif_of(Compose([]).transforms) is None
    assert exif_of([dict(type=LoadImage, exif="ignore"), resize]) == "ignore"


def test_images_of_unclear_orientation_are_counted_and_the_first_is_named(tmp_path):
    files = []
    for orientation in (1, 3, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files.append(str(tmp_path / f"{orientation}.jpg"))
        Image.fromarray(NOISE).save(files[-1], exif=exif)
    turned = turned_images(files)
    assert turned == files[1:]
    with pytest.raises(DataError, match=r"3\.jpg: .*orientation 3 \(and 1 more\); .*exif='ignore'"):
        refuse_unclear_orientation(turned)
    refuse_unclear_orientation([])


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"IMG_1\.jpg: expected an image"):
        load(tmp_path / "IMG_1.jpg")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_more_than_8_bits_are_refused(tmp_path, dtype):
    Image.fromarray(NOISE[..., 0].astype(dtype)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match=r"deep\.tif: expected 8 bits .*, found .*mode [IF]"):
        load(tmp_path / "deep.tif")
