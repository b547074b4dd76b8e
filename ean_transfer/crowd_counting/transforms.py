"""The pipeline's transforms: load, augment with points, make targets, pack the model's inputs.

The usual pipeline is :class:`LoadCountingImage`, :class:`AlbuPoints` (training only),
:class:`DensityMap` (training only) and :class:`PackCountingInputs`. For geometry-adaptive
densities, :class:`AdaptiveSigmas` stands before :class:`AlbuPoints`; for large images,
:class:`LimitSize` stands before both. The same pipeline serves a data set that already gives
``img`` ((H, W, 3) uint8, BGR) and ``points``. An image without ``points`` is one without labels: it
can be loaded, changed and packed.

Random draws come from NumPy's global generator, which the toolkit's trainings seed for each image.
In a runner of mmengine's own, data loaders need ``persistent_workers=True``: without it the workers
of every epoch start from the same seed, and each epoch repeats the draws of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import torch
from mmcv.transforms import TRANSFORMS, BaseTransform
from mmengine.structures import BaseDataElement

from ean_transfer.crowd_counting.density import adaptive_sigmas, density_map
from ean_transfer.crowd_counting.point_augmentation import build_point_augmentation
from ean_transfer.crowd_counting.points import Points, as_points, clamp_points
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.data.albumentations import augment, seed_by_numpy
from ean_transfer.data.loading import LoadImage
from ean_transfer.errors import DataError
from ean_transfer.io.checked import Positive, PositiveNumber, checked_arguments


@TRANSFORMS.register_module()
class LoadCountingImage(LoadImage):
    """Read an image, unless the data set already gives its pixels, and make sure of its size."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` (H, W, 3) uint8 BGR, ``img_shape`` and ``ori_shape``.

        Raises:
            DataError: The file is unreadable, truncated or has more than 8 bits per channel; or the
                results have a ``height`` and ``width`` that are not the image's.
        """
        results = super().transform(results)
        height, width = results["img_shape"]
        expected = (results.get("height", height), results.get("width", width))
        if expected != (height, width):
            raise DataError(
                f"{_name(results)}: expected an image of {expected[1]} x {expected[0]} pixels as "
                f"annotated, found {width} x {height}; its points would not fit: give the original"
            )
        return results


@TRANSFORMS.register_module()
class AdaptiveSigmas(BaseTransform):
    """Measure geometry-adaptive sigmas where all neighbours are seen: before :class:`AlbuPoints`.

    Args:
        neighbours: Argument of :func:`~ean_transfer.crowd_counting.density.adaptive_sigmas`.
        beta: Argument of the same function.

    Raises:
        ConfigError: An argument is not positive.
    """

    @checked_arguments
    def __init__(self, neighbours: Positive = 3, beta: PositiveNumber = 0.3) -> None:
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
    """Augment an image and its points by albumentations.

    After each transform, points that have left the image (by a crop, say) leave the count; no other
    point is lost. At the image's edge points are moved onto pixel centres, since albumentations
    itself raises for x = W and drops such points on a flip. Resizing moves points as it moves the
    pixels, see :mod:`ean_transfer.crowd_counting.point_augmentation`. A padding that mirrors the
    image shows objects twice and counts them twice.

    Where the results have ``sigmas``, each stays with its point and grows with the image. For
    transforms that are no resizing, it grows by albumentations' estimate, which is rough for
    ``Perspective``.

    Args:
        transforms: Albumentations transforms in order, each as a dict whose ``type`` is a name or
            class of albumentations, e.g. ``dict(type="RandomCrop", height=128, width=128,
            pad_if_needed=True)``, ``dict(type="HorizontalFlip", p=0.5)``; compositions such as
            ``OneOf`` hold a list of such dicts as their ``transforms``. They see the image as RGB.

    Raises:
        ConfigError: A transform is unknown or does not take one of its arguments; or, when it is
            applied, makes something else of an image than an image (``ToTensorV2``, ``Normalize``).
    """

    def __init__(self, transforms: Sequence[dict[str, Any]]) -> None:
        # One Compose for each, since points are moved onto pixel centres in between.
        self.steps = [build_point_augmentation(transform) for transform in transforms]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, ``img_shape`` and, where there are any, ``points`` and ``sigmas``."""
        image = np.ascontiguousarray(results["img"][..., ::-1])
        points = clamp_points(as_points(results.get("points", [])), image.shape[:2])
        sigmas = results.get("sigmas", np.ones(len(points), dtype=np.float32))
        seed_by_numpy(self.steps)
        for step in self.steps:
            keypoints = np.column_stack((points, sigmas))
            file = results.get("img_path")
            changed = augment(step, "AlbuPoints", file, image=image, keypoints=keypoints)
            image = changed["image"]
            keypoints = np.asarray(changed["keypoints"], dtype=np.float32).reshape(-1, 3)
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
    """Shrink large images and their points; leave the others as they are.

    Args:
        longest: Limit of the longer side in pixels. (albumentations' ``LongestMaxSize`` would also
            enlarge small images.)

    Raises:
        ConfigError: The limit is not positive.
    """

    @checked_arguments
    def __init__(self, longest: Positive = 2048) -> None:
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
    """Make the target, ``gt_density`` (h, w) float32; stands after all that changes the image.

    Args:
        stride: Pixels per cell; the head's output stride.
        sigma: Standard deviation of the Gaussians in pixels, or ``"adaptive"`` for the results'
            ``sigmas`` (see :class:`AdaptiveSigmas`). Without those, sigmas are measured on the
            points that are left, where a crop may have hidden neighbours.
        neighbours: Argument of :func:`~ean_transfer.crowd_counting.density.adaptive_sigmas`, where
            sigmas are measured by this transform.
        beta: Argument of the same function.

    Raises:
        ConfigError: An argument is not positive, or sigma is another word.
    """

    @checked_arguments
    def __init__(
        self,
        stride: Positive = 8,
        sigma: PositiveNumber | Literal["adaptive"] = 4.0,
        neighbours: Positive = 3,
        beta: PositiveNumber = 0.3,
    ) -> None:
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
    """Pack ``dict(inputs=(3, H, W) uint8 tensor, data_samples=CountingDataSample)``.

    The sample's ``gt_count`` is the number of points, whatever the density map sums to. An image
    without labels (no ``points`` in the results) has neither ``gt_points`` nor ``gt_count``.

    Args:
        meta_keys: Keys of the results that are copied to the sample's meta fields, if present.
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
        """Return the packed image; the results' other keys are dropped."""
        image = results["img"]
        sample = CountingDataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
            # The image's own, since the `img_shape` of an earlier transform may be stale.
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
        DataError: The image has no labels.
    """
    if "points" not in results:
        raise DataError(
            f"{_name(results)}: expected points to make a density map of, found an image without "
            "labels; train on a split that has them"
        )
    return as_points(results["points"])
