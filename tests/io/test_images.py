"""Label images, sizes, orientation and bit depth; images themselves are read in tests/data."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps, TiffImagePlugin

from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image, read_image_size, read_labels, read_orientation

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
GREY, PALETTE, GREY_ALPHA = 0, 3, 4  # colour types of PNG


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    """The rows of an image as PNG, TIFF and PGM store them, the first pixel in the highest bits."""
    shifts = np.arange(bits - 1, -1, -1)
    rows = (values[..., None].astype(int) >> shifts & 1).reshape(len(values), -1)
    return [np.packbits(row).tobytes() for row in rows]


def png(values: np.ndarray, bits: int, colour: int = GREY) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", values.shape[1], len(values), bits, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(9, 9 + 3 * 2**bits))) if colour == PALETTE else b""
    data = zlib.compress(b"".join(b"\0" + row for row in packed(values, bits)))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, bits: int, photometric: int = 1) -> bytes:
    data = b"".join(packed(values, bits))
    tags = {256: values.shape[1], 257: len(values), 258: bits, 259: 1, 262: photometric}
    tags |= {273: 8, 277: 1, 278: len(values), 279: len(data)}
    entries = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack(">H", len(tags)) + entries + bytes(4)
    data += bytes(len(data) % 2)
    return b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + directory


def pgm(values: np.ndarray, maximum: int) -> bytes:
    head = f"P5 {values.shape[1]} {len(values)} {maximum}\n".encode()
    return head + values.astype(">u2" if maximum > 255 else np.uint8).tobytes()


def plain_pgm(values: np.ndarray, maximum: int) -> bytes:
    text = " ".join(map(str, values.ravel()))
    return f"P2 {values.shape[1]} {len(values)} {maximum}\n{text}\n".encode()


def grey(highest: int) -> st.SearchStrategy[np.ndarray]:
    shapes = st.tuples(st.integers(1, 4), st.integers(1, 9))
    return shapes.flatmap(lambda shape: arrays(np.int64, shape, elements=st.integers(0, highest)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def same(folder: Path, content: bytes, values: np.ndarray) -> bool:
    (folder / "labels").write_bytes(content)
    return read_labels(folder / "labels").tolist() == values.tolist()


@given(data=st.data(), bits=st.sampled_from([1, 2, 4, 8, 16]))
def test_grey_labels_are_the_numbers_in_the_file_at_any_depth(folder, data, bits) -> None:
    values = data.draw(grey(2**bits - 1))
    assert same(folder, png(values, bits), values)
    assert same(folder, tiff(values, bits), values)


@given(data=st.data(), bits=st.sampled_from([2, 4, 8]))
def test_labels_are_the_numbers_in_a_tiff_in_which_0_is_white(folder, data, bits) -> None:
    values = data.draw(grey(2**bits - 1))
    assert same(folder, tiff(values, bits, photometric=0), values)


def test_labels_of_black_and_white_are_1_where_it_is_white(folder: Path) -> None:
    bits = np.array([[0, 1, 1]])
    assert same(folder, tiff(bits, 1), bits)
    assert same(folder, tiff(bits, 1, photometric=0), 1 - bits)


@given(data=st.data(), bits=st.sampled_from([1, 2, 4]))
def test_labels_of_a_small_palette_are_its_indices(folder, data, bits) -> None:
    values = data.draw(grey(2**bits - 1))
    assert same(folder, png(values, bits, PALETTE), values)


@given(data=st.data(), maximum=st.integers(1, 65535))
def test_labels_below_any_maximum_are_the_numbers_in_the_file(folder, data, maximum) -> None:
    values = data.draw(grey(maximum))
    assert same(folder, pgm(values, maximum), values)
    assert same(folder, plain_pgm(values, maximum), values)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "bool"])
def test_labels_are_the_values_in_the_file(tmp_path: Path, kind: str) -> None:
    labels = np.array([[0, 1], [255 if kind == "uint8" else 1, 0]]).astype(kind)
    Image.fromarray(labels).save(tmp_path / "a.tif")
    assert (read_labels(tmp_path / "a.tif") == labels).all()
    assert read_labels(tmp_path / "a.tif").dtype.kind in "ui"


def test_labels_of_a_palette_are_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[2, 0]], np.uint8)).convert("P")
    image.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7])
    image.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == [[2, 0]]


@pytest.mark.parametrize("mode", ["RGB", "LA", "F"])
def test_colours_and_fractions_are_no_labels(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=rf"a\.tif: expected one integer .*found .*mode {mode};"):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("TIFF", {"compression": "jpeg"})])
def test_labels_in_a_lossy_file_are_refused(tmp_path: Path, kind: str, options) -> None:
    Image.fromarray(PIXELS[..., 0] % 3).save(tmp_path / "a.png", kind, **options)
    with pytest.raises(DataError, match=r"a\.png: expected .*found JPEG.*PNG"):
        read_labels(tmp_path / "a.png")


# -- more than 8 bits ------------------------------------------------------------------------------


DEEP = [(kind, channels) for kind in ("png", "tif", "jp2") for channels in (1, 3, 4)]


@pytest.mark.parametrize(("kind", "channels"), [*DEEP, ("pgm", 1), ("ppm", 3)])
def test_images_of_16_bits_are_refused(tmp_path: Path, kind: str, channels: int) -> None:
    image = np.full((32, 32, channels), 4095, np.uint16)  # 12 bits: as high bytes almost black
    assert cv2.imwrite(str(tmp_path / f"a.{kind}"), image)
    with pytest.raises(DataError, match=rf"a\.{kind}: expected 8 bits per channel, found"):
        read_image(tmp_path / f"a.{kind}")
    assert cv2.imwrite(str(tmp_path / f"b.{kind}"), (image % 256).astype(np.uint8))
    assert read_image(tmp_path / f"b.{kind}").min() == 255


@pytest.mark.parametrize("read", [read_image, read_labels], ids=["image", "labels"])
def test_a_stack_of_images_is_refused_and_copies_and_masks_of_one_are_not(tmp_path, read) -> None:
    file = tmp_path / "stack.tif"
    first, *others = (Image.fromarray(np.full((4, 6), n, np.uint8)) for n in range(3))
    first.save(file, save_all=True, append_images=others)
    with pytest.raises(DataError, match=r"stack\.tif: expected one image, found a stack of 3"):
        read(file)
    kinds = iter([0, 1, 4])  # the image, a smaller copy, a mask
    with TiffImagePlugin.AppendingTiffWriter(str(file), new=True) as writer:
        for page in (first, *others):
            page.save(writer, "TIFF", tiffinfo={254: next(kinds)})
            writer.newFrame()
    assert Image.open(file).n_frames == 3
    assert (read(file) == 0).all()


def test_grey_of_16_bits_with_alpha_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(np.full((1, 4), 255), 16, GREY_ALPHA))
    with pytest.raises(DataError, match="more than 8"):
        read_image(tmp_path / "a.png")


# -- orientation -----------------------------------------------------------------------------------

KINDS = {"JPEG": {}, "PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "late": {}}


def oriented(file: Path, orientation: int, kind: str = "PNG") -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(file, "PNG" if kind == "late" else kind, exif=exif, **KINDS[kind])
    if kind == "late":  # the chunk behind the pixels, where some programs put it
        content = file.read_bytes()
        start = content.index(b"eXIf") - 4
        end = start + 12 + struct.unpack(">I", content[start : start + 4])[0]
        tail = len(content) - 12  # IEND
        file.write_bytes(content[:start] + content[end:tail] + content[start:end] + content[tail:])
    return file


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_is_turned_or_taken_as_it_is_stored(tmp_path, orientation: int, kind: str) -> None:
    file = oriented(tmp_path / "a", orientation, kind)
    assert read_orientation(file) == orientation
    with Image.open(file) as image:
        turned = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[..., ::-1]
    assert (read_image(file) == turned).all()
    assert read_image_size(file) == turned.shape[:2]
    stored = read_image(file, exif="ignore")
    assert read_image_size(file, exif="ignore") == stored.shape[:2] == PIXELS.shape[:2]
    if kind != "JPEG":
        assert (stored == PIXELS[..., ::-1]).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_labels_with_an_orientation_of_their_own_are_refused(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(tmp_path / "a", kind, exif=exif)
    with pytest.raises(DataError, match=r"a: expected labels .*upright, found .* 3;"):
        read_labels(tmp_path / "a")


def test_an_orientation_that_does_not_exist_is_none(tmp_path: Path) -> None:
    assert read_orientation(oriented(tmp_path / "a.png", 9)) == 1
