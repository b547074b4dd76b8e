"""From a file and its points to the model's inputs.

The usual pipeline is :class:`LoadCountingImage`, :class:`AlbuPoints` (training only),
:class:`DensityMap` (training only) and :class:`PackCountingInputs`; for geometry-adaptive
densities, :class:`AdaptiveSigmas` goes before :class:`AlbuPoints`, and :class:`LimitSize` before
both where images are large. A data set that already gives
``img`` ((H, W, 3) uint8, BGR) and ``points`` takes the same one. An image without ``points`` is one
without labels: it can be loaded, changed and packed.

Random draws come from NumPy's global generator, which mmengine seeds in every worker by the
config's seed and the rank. Give the data loader ``persistent_workers=True``: without it mmengine
starts every epoch's workers from the same seed, and each epoch repeats the draws of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np
import torch
from mmcv.transforms import TRANSFORMS, BaseTransform
from mmengine.structures import BaseDataElement

from ean_transfer.crowd_counting.density import adaptive_sigmas, density_map
from ean_transfer.crowd_counting.point_augmentation import build_point_augmentation
from ean_transfer.crowd_counting.points import Points, are_inside, as_points, clamp_points
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.data.albumentations import seed_by_numpy
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_image


@TRANSFORMS.register_module()
class LoadCountingImage(BaseTransform):
    """Read an image, unless it is already there, and make sure that it is whole and of its size.

    It is turned as its EXIF orientation says, and grey, palette and other colours become BGR, as
    with mmcv's ``LoadImageFromFile``. That one's OpenCV, however, fills the missing part of a
    truncated JPEG with grey and says nothing.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` (H, W, 3) uint8 BGR, ``img_shape`` and ``ori_shape``.

        Raises:
            DataError: the file is unreadable, truncated or has more than 8 bits a channel; or the
                image is not of the ``height`` and ``width`` in the results, where they are given.
        """
        if "img" not in results:
            results["img"] = read_image(results["img_path"])
        height, width = size = results["img"].shape[:2]
        expected = (results.get("height", height), results.get("width", width))
        if expected != size:
            raise DataError(
                f"{_name(results)}: expected an image of {expected[1]} x {expected[0]} pixels as "
                f"annotated, found {width} x {height}; its points would not fit: give the original"
            )
        results["img_shape"] = results["ori_shape"] = size
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@TRANSFORMS.register_module()
class AdaptiveSigmas(BaseTransform):
    """Measure geometry-adaptive sigmas where all neighbours are seen: before :class:`AlbuPoints`.

    Args:
        neighbours: Of :func:`~ean_transfer.crowd_counting.density.adaptive_sigmas`.
        beta: Of the same.

    Raises:
        ConfigError: an argument is not positive.
    """

    def __init__(self, neighbours: int = 3, beta: float = 0.3) -> None:
        _check_arguments(self, adaptive_sigmas, [], neighbours, beta)
        self.neighbours = neighbours
        self.beta = beta

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``sigmas`` (N,) float32, in pixels."""
        results["sigmas"] = adaptive_sigmas(_labels(results), self.neighbours, self.beta)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(neighbours={self.neighbours}, beta={self.beta})"


@TRANSFORMS.register_module()
class AlbuPoints(BaseTransform):
    """Albumentations on an image and its points.

    Points that leave the image (by a crop, say) leave the count, after each of the transforms; no
    other point is lost. In particular, points are moved onto pixel centres at the edge, where
    albumentations itself raises (x = W) or drops them on a flip, and a resizing moves them as it
    moves the pixels, see :mod:`ean_transfer.crowd_counting.point_augmentation`. A padding that mirrors
    the image shows objects again and counts them again.

    Where the results have ``sigmas``, each stays with its point and grows with the image; where it
    is not a resizing, by albumentations' estimate, which is rough for ``Perspective``.

    Args:
        transforms: Albumentations transforms in order, each as a dict whose ``type`` is a name or
            class of albumentations, e.g. ``dict(type="RandomCrop", height=128, width=128,
            pad_if_needed=True)``, ``dict(type="HorizontalFlip", p=0.5)``; ``OneOf`` and the like
            hold a list of such dicts as their ``transforms``. They see the image as RGB.

    Raises:
        ConfigError: a transform is unknown or does not take one of its arguments.
    """

    def __init__(self, transforms: Sequence[dict[str, Any]]) -> None:
        # One Compose each: a point outside after one transform must not come back by the next (a
        # padding after a crop), and where it is outside is decided here, not in albumentations.
        self.steps = [build_point_augmentation(transform) for transform in transforms]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, ``img_shape`` and, where there are any, ``points`` and ``sigmas``."""
        image = np.ascontiguousarray(results["img"][..., ::-1])
        points = clamp_points(as_points(results.get("points", [])), image.shape[:2])
        sigmas = results.get("sigmas", np.ones(len(points), dtype=np.float32))
        seed_by_numpy(self.steps)
        for step in self.steps:
            changed = step(image=image, keypoints=np.column_stack((points, sigmas)))
            image = changed["image"]
            keypoints = np.asarray(changed["keypoints"], dtype=np.float32).reshape(-1, 3)
            keypoints = keypoints[are_inside(keypoints[:, :2], image.shape[:2])]
            points, sigmas = clamp_points(keypoints[:, :2], image.shape[:2]), keypoints[:, 2]
        results["img"] = np.ascontiguousarray(image[..., ::-1])
        results["img_shape"] = image.shape[:2]
        if "points" in results:
            results["points"] = points
        if "sigmas" in results:
            results["sigmas"] = sigmas
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(steps={self.steps})"


@TRANSFORMS.register_module()
class LimitSize(AlbuPoints):
    """Shrink large images, and their points with them; leave the others as they are.

    Args:
        longest: The longer side's limit in pixels. (albumentations' ``LongestMaxSize`` also
            enlarges.)

    Raises:
        ConfigError: it is not positive.
    """

    def __init__(self, longest: int = 2048) -> None:
        if not longest >= 1:
            raise ConfigError(f"LimitSize: expected longest >= 1 pixels, found {longest!r}")
        resize = dict(type="LongestMaxSize", max_size=longest, interpolation=cv2.INTER_AREA)
        super().__init__([resize])
        self.longest = longest

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, ``img_shape`` and, where there are any, ``points`` and ``sigmas``."""
        too_large = max(results["img"].shape[:2]) > self.longest
        return super().transform(results) if too_large else results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(longest={self.longest})"


@TRANSFORMS.register_module()
class DensityMap(BaseTransform):
    """Make the target, after all that changes the image: ``gt_density`` (h, w) float32.

    Args:
        stride: Pixels a cell; the head's output stride.
        sigma: Standard deviation of the Gaussians in pixels, or ``"adaptive"``: the results'
            ``sigmas`` (see :class:`AdaptiveSigmas`), or, where there are none, those of the points
            at hand, to which a crop has hidden neighbours.
        neighbours: Of adaptive sigmas that are measured here.
        beta: Of adaptive sigmas that are measured here.

    Raises:
        ConfigError: an argument is not positive, or sigma is another word.
    """

    def __init__(
        self,
        stride: int = 8,
        sigma: float | Literal["adaptive"] = 4.0,
        neighbours: int = 3,
        beta: float = 0.3,
    ) -> None:
        _check_arguments(self, density_map, [], (1, 1), stride, sigma, neighbours, beta)
        self.stride = stride
        self.sigma = sigma
        self.neighbours = neighbours
        self.beta = beta

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_density``, ``density_stride`` and ``density_sigma``."""
        points, size = _labels(results), results["img"].shape[:2]
        sigma = results.get("sigmas", self.sigma) if self.sigma == "adaptive" else self.sigma
        results["gt_density"] = density_map(
            points, size, self.stride, sigma, self.neighbours, self.beta
        )
        results["density_stride"] = self.stride
        results["density_sigma"] = self.sigma
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(stride={self.stride}, sigma={self.sigma!r}, "
            f"neighbours={self.neighbours}, beta={self.beta})"
        )


@TRANSFORMS.register_module()
class PackCountingInputs(BaseTransform):
    """``dict(inputs=(3, H, W) uint8 tensor, data_samples=CountingDataSample)``.

    The sample's ``gt_count`` is the number of points, whatever the density map sums to. An image
    without labels (no ``points`` in the results) has neither ``gt_points`` nor ``gt_count``.

    Args:
        meta_keys: What else goes into the sample's meta fields, where the results have it.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            "img_path",
            "sample_idx",
            "ori_shape",
            "density_stride",
            "density_sigma",
        ),
    ) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, torch.Tensor | BaseDataElement]:
        image = results["img"]
        sample = CountingDataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
            # Of the image itself: an `img_shape` of an earlier transform may be stale.
            | {"img_shape": image.shape[:2]}
        )
        if "points" in results:
            sample.gt_points = torch.from_numpy(as_points(results["points"]))
            sample.gt_count = float(len(sample.gt_points))
        if "gt_density" in results:
            sample.gt_density = torch.from_numpy(results["gt_density"])
        inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {"inputs": inputs, "data_samples": sample}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(meta_keys={self.meta_keys})"


def _name(results: dict[str, Any]) -> str:
    return str(results.get("img_path", "an image without img_path"))


def _labels(results: dict[str, Any]) -> Points:
    """The points of the results.

    Raises:
        DataError: there are none.
    """
    if "points" not in results:
        raise DataError(
            f"{_name(results)}: expected points to make a density map of, found an image without "
            "labels; train on a split that has them"
        )
    return as_points(results["points"])


def _check_arguments(transform: BaseTransform, function: Callable, *arguments: Any) -> None:
    """Let the function that will use the arguments judge them, without any points."""
    try:
        function(*arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{type(transform).__name__}: {error}") from error
