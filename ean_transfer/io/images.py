"""Reading images and label images completely and without clipping any values.

With Pillow, because OpenCV before 5 fills the missing part of a truncated JPEG with grey and gives
no error.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from ean_transfer.errors import DataError
from ean_transfer.io.image_headers import (
    highest_value,
    is_deep,
    jpeg2000_bits,
    orientation_of,
    pages_of,
    stored_as,
)

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
        swapped = orientation_of(image) > 4 and (exif == "apply") != (image.format == "TIFF")
    return (width, height) if swapped else (height, width)


def read_orientation(path: str | os.PathLike[str]) -> int:
    """Read an image's EXIF orientation, 1 (as stored) to 8, from the file's header alone.

    With 2, 3 and 4 the image keeps its size when it is turned, so labels fit it both ways; with 5
    to 8 width and height change places.

    Raises:
        DataError: The header is unreadable.
    """
    with _opened(path, "header") as image:
        return orientation_of(image)


def read_depth(path: str | os.PathLike[str]) -> str:
    """Bits per channel and colours of an image as stored, e.g. ``"16 bits RGB"``, from its header.

    Raises:
        DataError: The header is unreadable.
    """
    with _opened(path, "header") as image:
        mode, maximum = stored_as(image)
        whole = {"1": 1, "I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16}
        stored = re.match(r"[^B][^;]*;(\d+)", mode)  # BGR;16 is 16 bits per pixel
        bits = int(stored[1]) if stored else whole.get(image.mode, 8)
        if image.format == "JPEG2000":
            bits = jpeg2000_bits(image)
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
        mode, _ = stored_as(image)
        stored = highest_value(image)
        values = np.asarray(image)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if re.match(r"L;\d?I", mode):  # a TIFF in which 0 is white, as ImageJ writes masks
        values = 255 - values  # Pillow reads how bright it looks
    if stored is None:
        return values
    read = 255 if values.dtype == np.uint8 else 65535  # what Pillow has scaled the highest to
    return np.rint(values * (stored / read)).astype(values.dtype)


def read_deep_image(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an image of more than 8 bits per channel, (H, W) or (H, W, 3) BGR, without scaling it.

    Returns:
        Integers or floating-point numbers, as stored; without transparency.

    Raises:
        DataError: The file is unreadable or truncated, has 8 bits per channel or fewer, or see
            :func:`read_image`; or it has an EXIF orientation, which copies of it would lose.
    """
    with _opened(path, "deep") as image:
        values: Any = np.asarray(image)  # in full, or it raises
        if values.ndim == 3:  # with the high bytes alone
            whole = np.frombuffer(Path(path).read_bytes(), np.uint8)
            values = cv2.imdecode(whole, cv2.IMREAD_UNCHANGED)
            if values is None:
                raise ValueError("OpenCV does not know its format")
    return values[..., :3] if values.ndim == 3 else values


def _turned(image: ImageFile, exif: Exif) -> Image.Image:
    orientation = orientation_of(image)
    image.load()
    if image.format == "TIFF":  # Pillow has turned it by now
        back = {6: 8, 8: 6}.get(orientation, orientation)
        orientation = back if exif == "ignore" else 1
    elif exif == "ignore":
        orientation = 1
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


@contextmanager
def _opened(
    path: str | os.PathLike[str], wanted: Literal["image", "labels", "deep", "header"] = "image"
) -> Iterator[ImageFile]:
    """Yield an image file, of which only the header is read yet; turn all errors into DataError."""
    cause = None
    try:
        with _without_limit(), Image.open(path) as image:
            problem = None if wanted == "header" else _problem(image, wanted)
            if problem is None:
                yield image
    except Exception as error:  # Pillow's readers raise many kinds, SyntaxError among them
        problem, cause = f"expected an image, cannot read it ({error}); fetch it again", error
    if problem is not None:
        raise DataError(f"{path}: {problem}") from cause


def _problem(image: ImageFile, wanted: Literal["image", "labels", "deep"]) -> str | None:
    """Why an image cannot be used although it can be read."""
    mode = image.mode
    if image.width * image.height > MAX_PIXELS:
        return (
            f"expected at most {MAX_PIXELS} pixels, found {image.width} x {image.height}; "
            "cut the image into parts"
        )
    if (pages := pages_of(image)) > 1:
        return f"expected one image, found a stack of {pages}; save each as a file of its own"
    if wanted == "labels":
        return _problem_of_labels(image) or _turned_problem(image, "labels that are")
    deep = mode.startswith(("I", "F")) or is_deep(image)
    if wanted == "deep" and deep:
        return _turned_problem(image, "an image that is")
    if wanted == "deep":
        return f"expected more than 8 bits per channel, found Pillow's mode {mode}; leave it out"
    if deep:  # converted to RGB, all would be clipped to 255, or be the high byte
        depth = "more than 8 in " if mode[0] not in "IF" else ""
        return (
            f"expected 8 bits per channel, found {depth}Pillow's mode {mode}; 'ean dataset "
            "to-8-bits' scales a folder of images alike"
        )
    return None


def _problem_of_labels(image: ImageFile) -> str | None:
    if not (image.mode.startswith("I") or image.mode in ("1", "L", "P")):
        return (
            f"expected one integer label per pixel, found Pillow's mode {image.mode}; convert the "
            "file to labels"
        )
    is_jpeg = image.format in ("JPEG", "MPO")
    if is_jpeg or image.info.get("compression") in _JPEG_IN_TIFF:
        return (
            "expected labels in a format that keeps them, found JPEG, which changes values; save "
            "the original as PNG"
        )
    return None


def _turned_problem(image: ImageFile, what: str) -> str | None:
    if (orientation := orientation_of(image)) == 1:
        return None
    return (
        f"expected {what} stored upright, found EXIF orientation {orientation}; save the file "
        "upright, without it"
    )


@contextmanager
def _without_limit() -> Iterator[None]:
    """Lift Pillow's limit and restore it at the end; it is global, so by one thread at a time."""
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
