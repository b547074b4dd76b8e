"""VGG Cells' format, and that of your own dots: one dot image for each image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset
from ean_transfer.crowd_counting.datasets.files import Files, named_files, pair_up
from ean_transfer.crowd_counting.points import Points
from ean_transfer.errors import DataError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.io.image_files import has_suffix
from ean_transfer.io.images import Exif, read_image, read_image_size, read_orientation

_NOISE, _FAINT = 24, 64  # of 255: what is darker is none; in between a JPEG has worn dots off
_LARGEST_SHARE = 0.1  # of an image's pixels may be bright; with more it is a photograph
_LOSSY = (".jpg", ".jpeg", ".jfif", ".webp")
_Pixels = npt.NDArray[np.bool_]
Dots = Literal["red", "any", "blobs"]


@DATASETS.register_module()
class DotImageDataset(CountingDataset):
    """VGG Cells (Lempitsky and Zisserman, 2010), and other folders with one dot image per image::

        data_root/001cell.png    the image
        data_root/001dots.png    black, with one red pixel per object

    VGG Cells' protocol: the first 100 images are the training pool, of which N are drawn by a seed
    (``draw=dict(pool=100, size=50, seed=0)``), the others validate (the same with ``rest=True``),
    and the last 100 test (``indices=-100``); repeat with other seeds.

    Args:
        data_root: The folder.
        image_suffix: End of an image's name after what it shares with its dots; or several.
        dots_suffix: End of a dot image's name after what it shares with its image; or several.
        image_folder: Folder of the images within ``data_root``.
        dots_folder: Folder of the dot images within ``data_root``.
        dots: How an object is drawn on black: ``"red"`` is one red pixel; ``"any"`` is one pixel of
            any colour, the same for all, such as white, or 1 in a label image; ``"blobs"`` is one
            group of bright pixels, also in JPEG, or of the pixels of a mask's one value, such as 1.
            Its centre is the point, and groups that touch count once.
        **kwargs: Arguments of :class:`CountingDataset`.
    """

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        image_suffix: str | Sequence[str] = "cell.png",
        dots_suffix: str | Sequence[str] = "dots.png",
        image_folder: str = "",
        dots_folder: str = "",
        dots: Dots = "red",
        **kwargs: Any,
    ) -> None:
        self.image_suffixes = _several(image_suffix)
        self.dots_suffixes = _several(dots_suffix)
        self.image_folder = image_folder
        self.dots_folder = dots_folder
        self.dots = dots
        super().__init__(data_root, **kwargs)

    def list_files(self) -> Files:
        root = Path(self.data_root)
        image_folder, dots_folder = root / self.image_folder, root / self.dots_folder
        shared = image_folder == dots_folder
        images = named_files(
            image_folder,
            suffixes=self.image_suffixes,
            other_suffixes=self.dots_suffixes if shared else (),
            hint="check data_root, or set image_folder and image_suffix",
        )
        dots = named_files(
            dots_folder,
            suffixes=self.dots_suffixes,
            other_suffixes=self.image_suffixes if shared else (),
            hint="check data_root, or set dots_folder and dots_suffix",
        )
        first = f"{Path(self.dots_folder, 'NAME')}{self.dots_suffixes[0]}"
        return pair_up(images, dots, naming=f"NAME{self.image_suffixes[0]} has {first}")

    def orientation_is_unclear(self, annotation: Path, image: Path, points: Points) -> bool:
        """Whether image and dots are turned differently, and their sizes cannot tell how."""
        orientation = read_orientation(image)
        if orientation == read_orientation(annotation) or not len(points):
            return False
        return read_image_size(image, "apply") == read_image_size(image, "ignore")

    def check_annotation(self, annotation: Path, image: Path, image_size: tuple[int, int]) -> None:
        size = read_image_size(annotation, self.exif)
        if size != image_size:
            raise DataError(
                f"{annotation}: expected dots of the size of {image.name}, {image_size[1]} x "
                f"{image_size[0]} pixels, found {size[1]} x {size[0]}; give the original"
            )

    def read_points(self, annotation: Path) -> Points:
        return read_dots(annotation, self.dots, self.exif)


def read_dots(annotation: Path, dots: Dots, exif: Exif = "apply") -> Points:
    """Read the points (N, 2) of a dot image.

    Args:
        annotation: The dot image.
        dots: How an object is drawn; see :class:`DotImageDataset`.
        exif: What to do with the dot image's EXIF orientation.

    Raises:
        DataError: The file is unreadable, or has other pixels.
    """
    pixels = read_image(annotation, exif)
    if dots == "blobs":
        return _centres(annotation, pixels)
    drawn: _Pixels = np.asarray(pixels.any(axis=2))
    colours = np.unique(pixels[drawn][:, ::-1], axis=0)  # RGB
    # A photograph, or a lossy file in place of the dots, would give thousands of objects.
    if dots == "red":
        stray = drawn & (pixels != (0, 0, 255)).any(axis=2)
        expected, strays = "red pixels (255, 0, 0)", int(stray.sum())
    else:
        expected, strays = "pixels of one colour", int(drawn.sum()) if len(colours) > 1 else 0
    others = [colour for colour in colours.tolist() if colour != [255, 0, 0]]
    if strays:
        raise DataError(
            f"{annotation}: expected {expected} on black, found {strays} others, of RGB "
            f"{(others or colours.tolist())[:3]}; {_advice(annotation, pixels, len(colours))}"
        )
    if dots == "any" and 2 * _groups(drawn) < drawn.sum():
        raise DataError(
            f"{annotation}: expected one pixel per object, found {drawn.sum()} pixels in "
            f'{_groups(drawn)} groups; set dots="blobs" if each group is one object'
        )
    rows, columns = np.nonzero(drawn)
    return np.stack((columns, rows), axis=1).astype(np.float32)


def _several(suffix: str | Sequence[str]) -> tuple[str, ...]:
    return (suffix,) if isinstance(suffix, str) else tuple(suffix)


def _bright(annotation: Path, pixels: npt.NDArray[np.uint8]) -> _Pixels:
    """The pixels of objects: in a mask all that are not black, however dark its one value is."""
    brightness = pixels.max(axis=2)
    is_mask = not has_suffix(annotation, _LOSSY) and len(np.unique(brightness[brightness > 0])) == 1
    least = 1 if is_mask else max(_FAINT, int(brightness.max()) // 2)
    bright: _Pixels = brightness >= least
    return bright


def _groups(pixels: _Pixels) -> int:
    """Number of groups of pixels that touch, also at corners."""
    return int(cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)[0]) - 1


def _has_dark_objects(bright: _Pixels, pixels: _Pixels) -> bool:
    """Whether a group without a bright pixel may be an object: not far smaller than those with one.

    Smaller ones are what a compression before left around the dots.
    """
    groups = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)[1]
    areas = np.bincount(groups.ravel())[1:]
    with_bright = np.isin(np.arange(1, len(areas) + 1), groups[bright])
    dark = areas[~with_bright]
    return bool(dark.size and dark.max() >= 0.25 * np.median(areas[with_bright]))


def _centres(annotation: Path, pixels: npt.NDArray[np.uint8]) -> Points:
    bright, brightest = _bright(annotation, pixels), int(pixels.max())
    if has_suffix(annotation, _LOSSY):
        unclear = _NOISE <= brightest < _FAINT
    else:
        # Dark groups may be objects, such as the first ones of a mask that numbers them.
        seen = bright | (pixels.max(axis=2) >= _NOISE)
        unclear = brightest > 0 and (not bright.any() or _has_dark_objects(bright, seen))
    if unclear or bright.mean() > _LARGEST_SHARE:
        raise DataError(
            f"{annotation}: expected groups of bright pixels on black, found {bright.mean():.0%} "
            f"of the pixels bright, the brightest {brightest} of 255; give the original dot image, "
            "no photograph, no dark dots on white, no mask that numbers its objects and no dots "
            "that compression has worn off"
        )
    centres = cv2.connectedComponentsWithStats(bright.astype(np.uint8), connectivity=8)[3]
    return centres[1:].astype(np.float32)  # the first is the background


def _advice(annotation: Path, pixels: npt.NDArray[np.uint8], colours: int) -> str:
    bright = _bright(annotation, pixels)
    if bright.mean() > _LARGEST_SHARE:
        return "give the original, losslessly saved dot image"
    if colours == 1 and 2 * _groups(bright) >= bright.sum():
        return 'set dots="any" if each of these pixels is one object'
    return 'give the original, losslessly saved dot image, or set dots="blobs" if each group of \
bright pixels is one object'
