"""Reading images and label images completely and without clipping any values.

With Pillow, because OpenCV before 5 fills the missing part of a truncated JPEG with grey and gives
no error.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from ean_transfer.errors import DataError

MAX_PIXELS = 2**30
"""Largest accepted image (3 GB as RGB). Pillow's default limit is too small for images that are
predicted in tiles: it raises an error at a sixth of this, and warns at a twelfth."""
_PILLOW = threading.Lock()


def read_image(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 BGR, turned as its EXIF orientation says.

    Grey, palette and other colours are converted.

    Raises:
        DataError: The file is unreadable or truncated, or has more than 8 bits per channel or more
            than ``MAX_PIXELS`` pixels.
    """
    with _opened(path) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    return np.ascontiguousarray(pixels[..., ::-1])


def read_image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Read (H, W) in pixels, as :func:`read_image` will give them, from the file's header alone.

    Raises:
        DataError: The header is unreadable, or says more than 8 bits per channel.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


def read_labels(path: str | os.PathLike[str]) -> npt.NDArray[np.integer]:
    """Read a label image as (H, W) integers: the values in the file, of a palette the indices.

    Raises:
        DataError: The file is unreadable or truncated, or holds colours or fractions.
    """
    with _opened(path, labels=True) as image:
        return np.asarray(image)


@contextmanager
def _opened(path: str | os.PathLike[str], labels: bool = False) -> Iterator[Image.Image]:
    """Yield an image file, of which only the header is read yet; turn all errors into DataError."""
    cause = None
    try:
        with _without_limit(), Image.open(path) as image:
            problem = _problem(image, labels)
            if problem is None:
                yield image
    except Exception as error:  # Pillow's readers raise many kinds, SyntaxError among them
        problem, cause = f"expected an image, cannot read it ({error}); fetch it again", error
    if problem is not None:
        raise DataError(f"{path}: {problem}") from cause


def _problem(image: Image.Image, labels: bool) -> str | None:
    """Why an image cannot be used although it can be read."""
    mode = image.mode
    integers = mode.startswith("I") or mode in ("1", "L", "P")
    if image.width * image.height > MAX_PIXELS:
        return (
            f"expected at most {MAX_PIXELS} pixels, found {image.width} x {image.height}; "
            "cut the image into parts"
        )
    if labels and not integers:
        return (
            f"expected one integer label per pixel, found Pillow's mode {mode}; convert the file "
            "to labels"
        )
    if not labels and mode.startswith(("I", "F")):  # converted to RGB, all would be clipped to 255
        return (
            f"expected 8 bits per channel, found Pillow's mode {mode}; save the image with 8 bits, "
            "its values scaled to fit"
        )
    return None


@contextmanager
def _without_limit() -> Iterator[None]:
    """Lift Pillow's limit and restore it at the end; it is global, so by one thread at a time."""
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
