"""What an image's header says, of an image that Pillow has opened and not read yet."""

from __future__ import annotations

import os
import re
import struct

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

_ORIENTATIONS = range(1, 9)
_SUBFILE_TYPE, _COPY_OR_MASK = 254, 0b101  # a tag of TIFF, and two of its bits


def orientation_of(image: ImageFile) -> int:
    """The orientation that a header says, of an image that is not loaded yet."""
    # A PNG's own getexif would decode its pixels first, for what may stand behind them.
    exif = Image.Image.getexif(image)
    if image.format == "PNG" and (late := _late_png_exif(image)):
        exif = Image.Exif()
        exif.load(late)
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in _ORIENTATIONS else 1


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


def pages_of(image: ImageFile) -> int:
    """The number of images in a TIFF, without masks and smaller copies of others; 1 elsewhere."""
    if not isinstance(image, TiffImageFile):
        return 1
    pages = 0
    for number in range(image.n_frames):
        image.seek(number)
        pages += not image.tag_v2.get(_SUBFILE_TYPE, 0) & _COPY_OR_MASK
    image.seek(0)
    return pages


def stored_as(image: ImageFile) -> tuple[str, int | None]:
    """How the pixels of an unread image are stored: Pillow's raw mode; the maximum of PPM, PGM."""
    if not image.tile:
        return "", None
    codec, _, _, arguments = image.tile[0]
    values = (arguments,) if isinstance(arguments, str) else tuple(arguments or ("",))
    return str(values[0]), int(values[1]) if codec.startswith("ppm") and values[1:] else None


def is_deep(image: ImageFile) -> bool:
    """Whether more than 8 bits per channel are stored, where Pillow's mode has 8."""
    mode, maximum = stored_as(image)
    if image.format == "JPEG2000":
        return jpeg2000_bits(image) > 8
    return mode.endswith((";16B", ";16L", ";16N")) or (maximum or 0) > 255


def highest_value(image: ImageFile) -> int | None:
    """The highest value that a grey file of few bits can store, which Pillow turns into white."""
    mode, maximum = stored_as(image)
    bits = re.match(r"L;([24])", mode)
    return maximum if bits is None else 2 ** int(bits[1]) - 1


def jpeg2000_bits(image: ImageFile) -> int:
    """Bits of the first channel, from the header's marker SIZ; 8 if it is not where it belongs."""
    file = image.fp
    assert file is not None
    before = file.tell()
    file.seek(0)
    head = file.read(2**16)
    file.seek(before)
    start = head.find(b"\xff\x4f\xff\x51")
    return (head[start + 42] & 0x7F) + 1 if 0 <= start < len(head) - 42 else 8
