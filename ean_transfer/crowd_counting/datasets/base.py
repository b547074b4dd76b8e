"""Base of the counting data sets: checks a folder in full, and keeps a part of the images."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ean_transfer.crowd_counting.datasets.draw import Draw
from ean_transfer.crowd_counting.datasets.files import Files
from ean_transfer.crowd_counting.points import Points, as_points, check_points
from ean_transfer.data.loading import exif_of, refuse_unclear_orientation
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.io.images import Exif, read_image_size, read_orientation


class OtherImageError(DataError):
    """An annotation says that it belongs to another image than its file name does."""


class CountingDataset(BaseDataset):
    """Base of the counting data sets: subclasses say where files are and how points are read.

    Args:
        data_root: The data set's folder; ``~`` is the user's home.
        outside: What to do with a point outside its image: ``"error"`` refuses the file;
            ``"clamp"`` moves the point onto the border, which keeps the published count, and logs
            how many were moved and how far. Both refuse points that are not finite, or so far
            outside (a tenth of the image's longer side) that they belong to another image.
        draw: Keep a random part of the images: ``dict(pool=100, size=50, seed=0)`` keeps 50 of the
            first 100, in the order of their numbers, and ``rest=True`` the other 50. See
            :class:`~ean_transfer.crowd_counting.datasets.draw.Draw`. mmengine's ``indices`` then
            counts within the images that were kept.
        **kwargs: Arguments of mmengine's ``BaseDataset``: ``pipeline``, ``indices``, ...

    Raises:
        ConfigError: An argument is not among its choices, or a draw does not fit.
        DataError: A folder, a file or a pair is missing, a file is malformed, or nothing tells
            whether points were marked on an image as its EXIF orientation turns it.

    Attributes:
        without_points: Whether images of no objects belong to the data set.
        remedy: What to do about a wrong annotation; ends the error.
    """

    METAINFO = {"task": "crowd counting"}
    without_points: ClassVar[bool] = False
    remedy: str = "correct the file"

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        outside: Literal["error", "clamp"] = "error",
        draw: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.outside = outside
        self.draw = None if draw is None else Draw(**draw)
        super().__init__(data_root=os.path.expanduser(data_root), **kwargs)

    @abstractmethod
    def list_files(self) -> Files:
        """List the folder's images and annotations, and what is missing.

        Raises:
            DataError: A folder or a list is missing, or there is no image at all.
        """

    @abstractmethod
    def read_points(self, annotation: Path) -> npt.ArrayLike:
        """Read the points of one annotation file, N x 2 (x, y).

        Raises:
            OtherImageError: The file names another image.
            DataError: The file is not in the format.
        """

    def check_annotation(self, annotation: Path, image: Path, image_size: tuple[int, int]) -> None:
        """Compare an annotation with its image, where the format allows it.

        Args:
            annotation: The annotation file.
            image: The image file.
            image_size: (H, W) in pixels.

        Raises:
            DataError: They do not belong together.
        """

    @property
    def exif(self) -> Exif:
        """What the pipeline's first step does with an image's EXIF orientation."""
        return exif_of(self.pipeline.transforms) or "apply"

    def orientation_is_unclear(self, annotation: Path, image: Path, points: Points) -> bool:
        """Whether an EXIF orientation turns the image, and its points fit turned and as stored.

        Args:
            annotation: The annotation file.
            image: The image file.
            points: Its points as annotated, (N, 2).
        """
        if read_orientation(image) == 1 or not len(points):
            return False
        turned = distances_outside(points, read_image_size(image, "apply"))
        stored = distances_outside(points, read_image_size(image, "ignore"))
        # Points outside the turned image may belong to the stored one.
        return bool(turned.any() or not stored.any())

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read every annotation and the size of every image, but not its pixels.

        An image that was published without labels has no ``points``.
        """
        files = self.list_files()
        for text in files.left_out_text:
            print_log(text, logger="current", level=logging.WARNING)
        files.refuse_incomplete(self.data_root)
        exif, unclear = exif_of(self.pipeline.transforms), list[str]()
        infos: list[dict[str, Any]] = []
        moved, farthest, where = 0, 0.0, ""
        for image, annotation in files.pairs:
            height, width = read_image_size(image, self.exif)
            info = {"img_path": str(image), "height": height, "width": width}
            if annotation is not None:
                self.check_annotation(annotation, image, (height, width))
                points = self._annotated_points(annotation, image)
                if exif is None and self.orientation_is_unclear(annotation, image, points):
                    unclear.append(str(image))
                    continue
                points, distances = self._points_within(points, annotation, image, (height, width))
                info["points"] = points
                moved += np.count_nonzero(distances)
                if distances.max(initial=0) > farthest:
                    farthest, where = float(distances.max()), annotation.name
            infos.append(info)
        refuse_unclear_orientation(unclear)
        if moved:
            print_log(
                f"{self.data_root}: moved {moved} points from outside their images onto the "
                f"border, the farthest by {farthest:.1f} pixels ({where})",
                logger="current",
            )
        return infos

    def filter_data(self) -> list[dict[str, Any]]:
        """The images that ``draw`` keeps; mmengine calls this before it applies ``indices``."""
        if self.draw is None:
            return self.data_list
        return [self.data_list[index] for index in self.draw.indices(len(self.data_list))]

    def _get_unserialized_subset(self, indices: Sequence[int] | int) -> list[dict[str, Any]]:
        """The part chosen by ``indices``; mmengine alone would silently take fewer images.

        Raises:
            ConfigError: There are fewer images than the indices need.
        """
        needed = abs(indices) if isinstance(indices, int) else max(indices, default=-1) + 1
        if needed > len(self.data_list):
            raise ConfigError(
                f"{self.data_root}: found {len(self.data_list)} images, the config's indices need "
                f"{needed}; unpack all of the data set, or set other indices"
            )
        return super()._get_unserialized_subset(indices)

    def _annotated_points(self, annotation: Path, image: Path) -> Points:
        annotated = self.read_points(annotation)
        try:
            return as_points(annotated)
        except (TypeError, ValueError) as error:
            raise _bad_points(error, annotation, image, self.remedy) from error

    def _points_within(
        self, points: Points, annotation: Path, image: Path, image_size: tuple[int, int]
    ) -> tuple[Points, npt.NDArray[np.float32]]:
        """The points, all of them in the image, and how far each was moved."""
        hint = self.remedy
        distances = distances_outside(points, image_size)
        if distances.max(initial=0) <= farthest_clamped(image_size):
            if self.outside == "clamp":
                points = _clip(points, image_size)
            hint += ', or pass outside="clamp" to move points onto the border'
        try:
            return check_points(points, image_size), distances
        except ValueError as error:
            raise _bad_points(error, annotation, image, hint) from error


def _bad_points(error: Exception, annotation: Path, image: Path, hint: str) -> DataError:
    return DataError(f"{annotation}: {error}; image {image.name}; {hint}")


def distances_outside(points: Points, image_size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """How far each point lies outside ``[0, W] x [0, H]``, (N,) in pixels; 0 within.

    The distance of a point that is not finite is NaN or infinite.

    Args:
        points: (N, 2) of (x, y) in pixels.
        image_size: (H, W) in pixels.
    """
    distances: npt.NDArray[np.float32]
    distances = np.abs(points - _clip(points, image_size)).max(axis=1, initial=0)
    return distances


def farthest_clamped(image_size: tuple[int, int]) -> float:
    """How far outside a point may be and still belong to the image, in pixels."""
    return 0.1 * max(image_size)


def _clip(points: Points, image_size: tuple[int, int]) -> Points:
    height, width = image_size
    return np.clip(points, 0, np.array((width, height), dtype=np.float32))
