"""Reading images and label images strictly: whole files, and nothing clipped on the way.

By Pillow: OpenCV before 5 fills the missing part of a truncated JPEG with grey and says nothing.
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
"""Of an image, which is 3 GB as RGB. Pillow's own limit is a sixth of it, and a warning above a
twelfth: less than images have that are predicted in tiles."""
_PILLOW = threading.Lock()


def read_image(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR, turned as its EXIF orientation says.

    Grey, palette and other colours are converted.

    Raises:
        DataError: the file is unreadable, truncated, has more than 8 bits a channel, or more than
            ``MAX_PIXELS`` pixels.
    """
    with _opened(path) as image:
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    _refuse_deep(path, image.mode)
    return np.ascontiguousarray(pixels[..., ::-1])


def read_image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(H, W) in pixels as :func:`read_image` will give them, from the file's header alone.

    Raises:
        DataError: the header is unreadable, or says more than 8 bits a channel.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    _refuse_deep(path, image.mode)
    return (width, height) if turned else (height, width)


def read_labels(path: str | os.PathLike[str]) -> npt.NDArray[np.integer]:
    """(H, W) integers, one a pixel as the file holds them; of a palette the indices.

    Raises:
        DataError: the file is unreadable, truncated, or holds colours or fractions.
    """
    with _opened(path) as image:
        values = np.asarray(image)
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise DataError(
            f"{path}: expected one whole number a pixel, its label, found Pillow's mode "
            f"{image.mode}; convert the file to labels"
        )
    return values


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    try:
        with _without_limit(), Image.open(path) as image:
            _refuse_huge(path, image)
            yield image
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds, SyntaxError among them
        raise DataError(
            f"{path}: expected an image, cannot read it ({error}); fetch it again"
        ) from error


@contextmanager
def _without_limit() -> Iterator[None]:
    """Pillow's limit is the whole process's: lifted here alone, and by one thread at a time."""
    with _PILLOW:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _refuse_huge(path: str | os.PathLike[str], image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{path}: expected at most {MAX_PIXELS} pixels, found {image.width} x {image.height}; "
            "cut the image into parts"
        )


def _refuse_deep(path: str | os.PathLike[str], mode: str) -> None:
    if mode.startswith(("I", "F")):  # in RGB clipped at 255: all white
        raise DataError(
            f"{path}: expected 8 bits a channel, found Pillow's mode {mode}; save the image as 8 "
            "bits, its values scaled as suits it"
        )
