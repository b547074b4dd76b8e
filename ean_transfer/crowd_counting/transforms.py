"""From a file and its points to the model's inputs.

The usual pipeline is :class:`LoadCountingImage`, :class:`AlbuPoints` (training only),
:class:`DensityMap` (training only) and :class:`PackCountingInputs`. A data set that already gives
``img`` ((H, W, 3) uint8, BGR) and ``points`` takes the same one.

Random draws come from NumPy's global generator, which mmengine seeds in every worker by the
config's seed and the rank. Give the data loader ``persistent_workers=True``: without it mmengine
starts every epoch's workers from the same seed, and each epoch repeats the draws of the first.
"""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import TRANSFORMS, BaseTransform, LoadImageFromFile
from mmengine.structures import BaseDataElement

from ean_transfer.crowd_counting.density import density_map
from ean_transfer.crowd_counting.points import as_points, clamp_points, keep_inside
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.errors import ConfigError, DataError

# albumentations asks the network for its newest version when imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations  # noqa: E402


@TRANSFORMS.register_module()
class LoadCountingImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that leaves an image already there as it is, and that names an
    unreadable file in a :class:`DataError`. Adds ``img`` (H, W, 3) BGR, ``img_shape``,
    ``ori_shape``.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        if "img" in results:
            results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
            return results
        try:
            return super().transform(results)
        except (OSError, AssertionError) as error:
            raise DataError(
                f"{results['img_path']}: expected an image, cannot read it ({error}); fetch it "
                "again"
            ) from error


@TRANSFORMS.register_module()
class AlbuPoints(BaseTransform):
    """Albumentations on an image and its points.

    Points that leave the image (by a crop, say) leave the count, after each of the transforms; no
    other point is lost. In particular, points are moved onto pixel centres at the edge, where
    albumentations itself raises (x = W) or drops them on a flip.

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
        self.steps = [_as_compose(transform) for transform in transforms]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, ``img_shape`` and ``points``."""
        image = np.ascontiguousarray(results["img"][..., ::-1])
        points = clamp_points(as_points(results["points"]), image.shape[:2])
        # A generator a sample, shared by the steps: seeding a Compose instead would start every
        # transform in it from the same number and tie a crop's place to the flip's coin.
        seed = int(np.random.randint(2**31))
        numpy_generator, python_generator = np.random.default_rng(seed), random.Random(seed)
        for step in self.steps:
            step.set_random_state(numpy_generator, python_generator)
            changed = step(image=image, keypoints=points)
            image = changed["image"]
            points = keep_inside(as_points(changed["keypoints"]), image.shape[:2])
        results["img"] = np.ascontiguousarray(image[..., ::-1])
        results["img_shape"] = image.shape[:2]
        results["points"] = points
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(steps={self.steps})"


@TRANSFORMS.register_module()
class DensityMap(BaseTransform):
    """Make the target, after all that changes the image: ``gt_density`` (h, w) float32.

    Args:
        stride: Pixels a cell; the head's output stride.
        sigma: Standard deviation of the Gaussians in pixels.
    """

    def __init__(self, stride: int = 8, sigma: float = 4.0) -> None:
        self.stride = stride
        self.sigma = sigma

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_density``, ``density_stride`` and ``density_sigma``."""
        size = results["img"].shape[:2]
        results["gt_density"] = density_map(results["points"], size, self.stride, self.sigma)
        results["density_stride"] = self.stride
        results["density_sigma"] = self.sigma
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(stride={self.stride}, sigma={self.sigma})"


@TRANSFORMS.register_module()
class PackCountingInputs(BaseTransform):
    """``dict(inputs=(3, H, W) uint8 tensor, data_samples=CountingDataSample)``.

    The sample's ``gt_count`` is the number of points, whatever the density map sums to.

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
        points = as_points(results["points"])
        sample = CountingDataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
            # Of the image itself: an `img_shape` of an earlier transform may be stale.
            | {"img_shape": image.shape[:2]}
        )
        sample.gt_points = torch.from_numpy(points)
        sample.gt_count = float(len(points))
        if "gt_density" in results:
            sample.gt_density = torch.from_numpy(results["gt_density"])
        inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {"inputs": inputs, "data_samples": sample}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(meta_keys={self.meta_keys})"


def _as_compose(transform: dict[str, Any]) -> albumentations.Compose:
    keypoints = albumentations.KeypointParams(format="xy", remove_invisible=False)
    try:
        with warnings.catch_warnings():
            # It warns that colour leaves points alone, and of unknown arguments: errors by strict.
            warnings.simplefilter("ignore", UserWarning)
            return albumentations.Compose(
                [_build_transform(transform)], keypoint_params=keypoints, strict=True
            )
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"AlbuPoints: cannot build {transform}: {error}") from error


def _build_transform(transform: dict[str, Any]) -> Any:
    arguments = dict(transform)
    kind = arguments.pop("type", None)
    if isinstance(kind, str):
        kind = getattr(albumentations, kind, None)
    if not callable(kind):
        raise ConfigError(
            f"AlbuPoints: expected the type of an albumentations transform, found "
            f"{transform.get('type')!r} in {transform}"
        )
    if "transforms" in arguments:
        arguments["transforms"] = [_build_transform(inner) for inner in arguments["transforms"]]
    return kind(**arguments)
