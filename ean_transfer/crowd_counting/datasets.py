"""Counting data sets in their published on-disk formats.

Each image becomes ``{img_path, height, width, points, sample_idx}`` with ``points`` (N, 2) float32
as in :mod:`ean_transfer.crowd_counting.points`. Folders are checked in full when the data set is
built, so that a missing or broken file shows before training and not in its third epoch.

A part of a data set is chosen by mmengine's ``indices``, which counts in the order of the image
numbers: ``indices=50`` the first 50, ``indices=-100`` the last 100, ``indices=list(range(50, 60))``
any others. Choose models on a part of the *training* set held out this way, not on the test set.
"""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import scipy.io
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from PIL import ExifTags, Image

from ean_transfer.crowd_counting.points import Points, as_points, check_points
from ean_transfer.errors import DataError


class CountingDataset(BaseDataset):
    """Base of the counting data sets: subclasses say where images are and how points are read.

    Args:
        data_root: The data set's folder.
        outside: What to do with a point outside its image: ``"error"`` refuses the file;
            ``"clamp"`` moves the point onto the border, which keeps the published count. Points
            that are not finite are refused in either case.
        **kwargs: Of mmengine's ``BaseDataset``: ``pipeline``, ``indices``, ``test_mode``, ...

    Raises:
        DataError: a folder, a file or a pair is missing, or a file is malformed.
    """

    METAINFO = {"task": "crowd counting"}

    def __init__(
        self,
        data_root: str | os.PathLike[str],
        outside: Literal["error", "clamp"] = "error",
        **kwargs: Any,
    ) -> None:
        if outside not in ("error", "clamp"):
            raise ValueError(f'expected outside as "error" or "clamp", found {outside!r}')
        self.outside = outside
        super().__init__(data_root=os.fspath(data_root), **kwargs)

    @abstractmethod
    def find_pairs(self) -> Iterator[tuple[Path, Path]]:
        """(image, annotation) of each image, in the order of the image numbers."""

    @abstractmethod
    def read_points(self, annotation: Path) -> npt.ArrayLike:
        """The points of one annotation file, N x 2 (x, y).

        Raises:
            DataError: the file is not in the format.
        """

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read every annotation and every image's size (not its pixels)."""
        return [self._data_info(*pair) for pair in self.find_pairs()]

    def _data_info(self, image: Path, annotation: Path) -> dict[str, Any]:
        height, width = _read_image_size(image)
        points = self.read_points(annotation)
        try:
            points = as_points(points)
            if self.outside == "clamp":
                points = np.clip(points, 0, np.array((width, height), dtype=np.float32))
            points = check_points(points, (height, width))
        except ValueError as error:
            hint = 'correct the file, or pass outside="clamp" to move points onto the border'
            raise DataError(f"{annotation}: {error}; image {image.name}; {hint}") from error
        return {"img_path": str(image), "height": height, "width": width, "points": points}


@DATASETS.register_module()
class ShanghaiTechDataset(CountingDataset):
    """ShanghaiTech, parts A and B (Zhang et al., CVPR 2016), and folders in that format::

        data_root/part_B/train_data/images/IMG_1.jpg
        data_root/part_B/train_data/ground-truth/GT_IMG_1.mat   (or ground_truth/)

    In a ``.mat``, ``image_info[0, 0]["location"][0, 0]`` is N x 2 (x, y). Its ``number`` is not
    read: the count is the number of points. Part A: 300 + 182 images, part B: 400 + 316.

    Args:
        data_root: The folder that holds ``part_A`` and / or ``part_B``.
        part: ``"A"`` or ``"B"``.
        split: ``"train"`` or ``"test"``.
        **kwargs: Of :class:`CountingDataset`.
    """

    def __init__(
        self,
        data_root: str | os.PathLike[str],
        part: Literal["A", "B"],
        split: Literal["train", "test"] = "train",
        **kwargs: Any,
    ) -> None:
        if part not in ("A", "B"):
            raise ValueError(f'expected part as "A" or "B", found {part!r}')
        if split not in ("train", "test"):
            raise ValueError(f'expected split as "train" or "test", found {split!r}')
        self.part = part
        self.split = split
        super().__init__(data_root, **kwargs)

    def find_pairs(self) -> Iterator[tuple[Path, Path]]:
        folder = Path(self.data_root) / f"part_{self.part}" / f"{self.split}_data"
        images = _numbered_files(folder / "images", r"IMG_(\d+)\.jpg")
        truth_folder = folder / "ground-truth"
        if not truth_folder.is_dir():
            truth_folder = _existing_folder(folder / "ground_truth", "ground-truth or ground_truth")
        truths = _numbered_files(truth_folder, r"GT_IMG_(\d+)\.mat")
        return _paired(images, truths, folder / "images", truth_folder)

    def read_points(self, annotation: Path) -> npt.ArrayLike:
        try:
            return scipy.io.loadmat(annotation)["image_info"][0, 0]["location"][0, 0]
        except Exception as error:  # scipy raises many kinds for a file that is not a .mat
            raise DataError(
                f"{annotation}: expected a MATLAB file with image_info[0,0]['location'][0,0], "
                f"found {type(error).__name__} ({error}); fetch the file again"
            ) from error


@DATASETS.register_module()
class DotImageDataset(CountingDataset):
    """Images with a dot image each: VGG Cells (Lempitsky and Zisserman, 2010) and its kind::

        data_root/001cell.png    the image
        data_root/001dots.png    black, with one red pixel an object

    VGG Cells' protocol: the first 100 images are the training pool, of which N are used
    (``indices=50``, or any 50 of them drawn by seed for repeated runs), others of the pool
    validate (``indices=list(range(50, 100))``), and the last 100 test (``indices=-100``).

    Args:
        data_root: The folder.
        image_suffix: What follows the number in an image's name.
        dots_suffix: What follows the number in its dot image's name.
        **kwargs: Of :class:`CountingDataset`.
    """

    def __init__(
        self,
        data_root: str | os.PathLike[str],
        image_suffix: str = "cell.png",
        dots_suffix: str = "dots.png",
        **kwargs: Any,
    ) -> None:
        self.image_suffix = image_suffix
        self.dots_suffix = dots_suffix
        super().__init__(data_root, **kwargs)

    def find_pairs(self) -> Iterator[tuple[Path, Path]]:
        folder = Path(self.data_root)
        images = _numbered_files(folder, rf"(\d+){re.escape(self.image_suffix)}")
        dots = _numbered_files(folder, rf"(\d+){re.escape(self.dots_suffix)}")
        return _paired(images, dots, folder, folder)

    def read_points(self, annotation: Path) -> Points:
        dots = cv2.imread(str(annotation), cv2.IMREAD_COLOR)
        if dots is None:
            raise DataError(f"{annotation}: expected an image, cannot decode it; fetch it again")
        red = (dots == (0, 0, 255)).all(axis=2)
        stray = dots.any(axis=2) & ~red
        # A photograph or a lossy file in the place of the dots would give thousands of "cells".
        if stray.any():
            row, column = np.argwhere(stray)[0]
            raise DataError(
                f"{annotation}: expected red pixels (255, 0, 0) on black, found RGB "
                f"{tuple(dots[row, column, ::-1].tolist())} at x={column}, y={row} and "
                f"{int(stray.sum())} such pixels; give the original, losslessly saved dot image"
            )
        rows, columns = np.nonzero(red)
        return np.stack((columns, rows), axis=1).astype(np.float32)


def _existing_folder(folder: Path, expected: str = "a folder") -> Path:
    if not folder.is_dir():
        raise DataError(
            f"{folder}: expected {expected}, found no such folder; check data_root, or unpack "
            "the data set there"
        )
    return folder


def _numbered_files(folder: Path, pattern: str) -> dict[int, Path]:
    """The folder's files whose whole name matches, by the number in the pattern's group."""
    files: dict[int, Path] = {}
    for path in sorted(_existing_folder(folder).iterdir()):
        match = re.fullmatch(pattern, path.name)
        if match:
            number = int(match[1])
            if number in files:
                raise DataError(
                    f"{folder}: {files[number].name} and {path.name} have the same number; "
                    "remove one of them"
                )
            files[number] = path
    if not files:
        raise DataError(f"{folder}: expected files named {pattern}, found none; check data_root")
    return dict(sorted(files.items()))


def _paired(
    images: dict[int, Path], truths: dict[int, Path], image_folder: Path, truth_folder: Path
) -> Iterator[tuple[Path, Path]]:
    """Image and annotation of each number, in its order; both must be there."""
    without_truth = [path.name for number, path in images.items() if number not in truths]
    if without_truth:
        raise DataError(
            f"{truth_folder}: expected an annotation for every image, found none for "
            f"{_some(without_truth)}; add the missing files or remove the images"
        )
    without_image = [path.name for number, path in truths.items() if number not in images]
    if without_image:
        raise DataError(
            f"{image_folder}: expected an image for every annotation, found none for "
            f"{_some(without_image)}; add the missing files or remove the annotations"
        )
    return ((path, truths[number]) for number, path in images.items())


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def _read_image_size(path: Path) -> tuple[int, int]:
    """(H, W) as the pixels will be after decoding, from the file's header."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except (OSError, SyntaxError) as error:  # Pillow's PNG reader raises SyntaxError
        raise DataError(
            f"{path}: expected an image, cannot read it ({error}); fetch it again"
        ) from error
    return (width, height) if turned else (height, width)
