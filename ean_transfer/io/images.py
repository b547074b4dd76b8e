"""Reading images and label images completely and without clipping any values.

With Pillow, because OpenCV before 5 fills the missing part of a truncated JPEG with grey and gives
no error.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ean_transfer.errors import DataError

MAX_PIXELS = 2**30
"""Largest accepted image (3 GB as RGB). Pillow's default limit is too small for images that are
predicted in tiles: it raises an error at a sixth of this, and warns at a twelfth."""

Exif = Literal["apply", "ignore"]
"""Whether an image is turned as its EXIF orientation says, or taken as its pixels are stored."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SUBFILE_TYPE, _COPY_OR_MASK = 254, 0b101  # a tag of TIFF, and two of its bits
_JPEG_IN_TIFF = ("jpeg", "tiff_jpeg")  # Pillow's names of a TIFF's compression
_PILLOW = threading.Lock()


def read_image(path: str | os.PathLike[str], exif: Exif = "apply") -> npt.NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 BGR.

    Grey, palette and other colours are converted.

    Args:
        path: The file.
        exif: Whether the image's EXIF orientation is applied.

    Raises:
        DataError: The file is unreadable or truncated, or has several images, more than 8 bits per
            channel or more than ``MAX_PIXELS`` pixels.
    """
    with _opened(path) as image:
        pixels = np.asarray(_turned(image, exif).convert("RGB"))
    return np.ascontiguousarray(pixels[..., ::-1])


def read_image_size(path: str | os.PathLike[str], exif: Exif = "apply") -> tuple[int, int]:
    """Read (H, W) in pixels, as :func:`read_image` will give them, from the file's header alone.

    Raises:
        DataError: The header is unreadable, or says more than 8 bits per channel.
    """
    with _opened(path) as image:
        width, height = image.size
        # Pillow gives the size of a TIFF after turning it, and of other formats before.
        swapped = _orientation(image) > 4 and (exif == "apply") != (image.format == "TIFF")
    return (width, height) if swapped else (height, width)


def read_orientation(path: str | os.PathLike[str]) -> int:
    """Read an image's EXIF orientation, 1 (as stored) to 8, from the file's header alone.

    With 2, 3 and 4 the image keeps its size when it is turned, so labels fit it both ways; with 5
    to 8 width and height change places.

    Raises:
        DataError: The header is unreadable.
    """
    with _opened(path, "header") as image:
        return _orientation(image)


def read_depth(path: str | os.PathLike[str]) -> str:
    """Bits per channel and colours of an image as stored, e.g. ``"16 bits RGB"``, from its header.

    Raises:
        DataError: The header is unreadable.
    """
    with _opened(path, "header") as image:
        mode, maximum = _stored_as(image)
        whole = {"1": 1, "I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16}
        stored = re.match(r"[^B][^;]*;(\d+)", mode)  # BGR;16 is 16 bits per pixel
        bits = int(stored[1]) if stored else whole.get(image.mode, 8)
        if image.format == "JPEG2000":
            bits = _jpeg2000_bits(image)
        if maximum is not None:
            bits = maximum.bit_length()
        name = image.mode.partition(";")[0]
    colours = {"1": "grey", "L": "grey", "I": "grey", "P": "palette"}.get(name, name)
    return f"{bits} bit{'s' if bits > 1 else ''} {colours}"


def read_labels(path: str | os.PathLike[str]) -> npt.NDArray[np.integer]:
    """Read a label image as (H, W) integers: the values in the file, of a palette the indices.

    Of black and white (1 bit), white is 1, whichever way it is stored.

    Raises:
        DataError: The file is unreadable or truncated, holds colours or fractions, is a JPEG, or
            has an EXIF orientation of its own.
    """
    with _opened(path, "labels") as image:
        mode, _ = _stored_as(image)
        stored = _highest_value(image)
        values = np.asarray(image)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if re.match(r"L;\d?I", mode):  # a TIFF in which 0 is white, as ImageJ writes masks
        values = 255 - values  # Pillow reads how bright it looks
    if stored is None:
        return values
    read = 255 if values.dtype == np.uint8 else 65535  # what Pillow has scaled the highest to
    return np.rint(values * (stored / read)).astype(values.dtype)


def _turned(image: ImageFile, exif: Exif) -> Image.Image:
    orientation = _orientation(image)
    image.load()
    if image.format == "TIFF":  # Pillow has turned it by now
        back = {6: 8, 8: 6}.get(orientation, orientation)
        orientation = back if exif == "ignore" else 1
    elif exif == "ignore":
        orientation = 1
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _orientation(image: ImageFile) -> int:
    """The orientation that a header says, of an image that is not loaded yet."""
    # A PNG's own getexif would decode its pixels first, for what may stand behind them.
    exif = Image.Image.getexif(image)
    if image.format == "PNG" and (late := _late_png_exif(image)):
        exif = Image.Exif()
        exif.load(late)
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in _TURNS else 1


def _late_png_exif(image: ImageFile) -> bytes | None:
    """The EXIF data of a PNG, wherever in the file; ``None`` if there are none."""
    file = image.fp
    assert file is not None
    before = file.tell()
    file.seek(8)  # behind the signature
    data = None
    while data is None and len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            data = file.read(length)
        file.seek(length + 4, os.SEEK_CUR)  # past a checksum
    file.seek(before)
    return data


@contextmanager
def _opened(
    path: str | os.PathLike[str], wanted: Literal["image", "labels", "header"] = "image"
) -> Iterator[ImageFile]:
    """Yield an image file, of which only the header is read yet; turn all errors into DataError."""
    cause = None
    try:
        with _without_limit(), Image.open(path) as image:
            problem = None if wanted == "header" else _problem(image, wanted == "labels")
            if problem is None:
                yield image
    except Exception as error:  # Pillow's readers raise many kinds, SyntaxError among them
        problem, cause = f"expected an image, cannot read it ({error}); fetch it again", error
    if problem is not None:
        raise DataError(f"{path}: {problem}") from cause


def _problem(image: ImageFile, labels: bool) -> str | None:
    """Why an image cannot be used although it can be read."""
    mode = image.mode
    integers = mode.startswith("I") or mode in ("1", "L", "P")
    if image.width * image.height > MAX_PIXELS:
        return (
            f"expected at most {MAX_PIXELS} pixels, found {image.width} x {image.height}; "
            "cut the image into parts"
        )
    if (pages := _pages(image)) > 1:
        return f"expected one image, found a stack of {pages}; save each as a file of its own"
    if labels and not integers:
        return (
            f"expected one integer label per pixel, found Pillow's mode {mode}; convert the file "
            "to labels"
        )
    is_jpeg = image.format in ("JPEG", "MPO")
    if labels and (is_jpeg or image.info.get("compression") in _JPEG_IN_TIFF):
        return (
            "expected labels in a format that keeps them, found JPEG, which changes values; save "
            "the original as PNG"
        )
    if labels and (orientation := _orientation(image)) != 1:
        return (
            f"expected labels that are stored upright, found EXIF orientation {orientation}; save "
            "them as they lie on their image, without it"
        )
    if not labels and (mode.startswith(("I", "F")) or _is_deep(image)):
        # Converted to RGB, all would be clipped to 255, or be the high byte.
        depth = "more than 8 in " if mode[0] not in "IF" else ""
        return (
            f"expected 8 bits per channel, found {depth}Pillow's mode {mode}; save the image with "
            "8 bits, its values scaled to fit"
        )
    return None


def _pages(image: ImageFile) -> int:
    """The number of images in a TIFF, without masks and smaller copies of others; 1 elsewhere."""
    if not isinstance(image, TiffImageFile):
        return 1
    pages = 0
    for number in range(image.n_frames):
        image.seek(number)
        pages += not image.tag_v2.get(_SUBFILE_TYPE, 0) & _COPY_OR_MASK
    image.seek(0)
    return pages


def _stored_as(image: ImageFile) -> tuple[str, int | None]:
    """How the pixels of an unread image are stored: Pillow's raw mode; the maximum of PPM, PGM."""
    if not image.tile:
        return "", None
    codec, _, _, arguments = image.tile[0]
    values = (arguments,) if isinstance(arguments, str) else tuple(arguments or ("",))
    return str(values[0]), int(values[1]) if codec.startswith("ppm") and values[1:] else None


def _is_deep(image: ImageFile) -> bool:
    """Whether more than 8 bits per channel are stored, where Pillow's mode has 8."""
    mode, maximum = _stored_as(image)
    if image.format == "JPEG2000":
        return _jpeg2000_bits(image) > 8
    return mode.endswith((";16B", ";16L", ";16N")) or (maximum or 0) > 255


def _highest_value(image: ImageFile) -> int | None:
    """The highest value that a grey file of few bits can store, which Pillow turns into white."""
    mode, maximum = _stored_as(image)
    bits = re.match(r"L;([24])", mode)
    return maximum if bits is None else 2 ** int(bits[1]) - 1


def _jpeg2000_bits(image: ImageFile) -> int:
    """Bits of the first channel, from the header's marker SIZ; 8 if it is not where it belongs."""
    file = image.fp
    assert file is not None
    before = file.tell()
    file.seek(0)
    head = file.read(2**16)
    file.seek(before)
    start = head.find(b"\xff\x4f\xff\x51")
    return (head[start + 42] & 0x7F) + 1 if 0 <= start < len(head) - 42 else 8


@contextmanager
def _without_limit() -> Iterator[None]:
    """Lift Pillow's limit and restore it at the end; it is global, so by one thread at a time."""
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
