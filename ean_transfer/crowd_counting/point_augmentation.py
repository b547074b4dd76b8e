"""Which albumentations transforms :class:`AlbuPoints` builds: points stay on what they mark.

Albumentations' crops and flips take a whole number as the centre of a pixel, as this package does.
Its resizing, however, multiplies a point's coordinates by the factor, as if a whole number were a
pixel's corner. Points then drift by up to half a pixel to the upper left, and some of the last row
and column leave the image and the count. RandomScale and the MaxSize transforms also round the
image's size, but not the points' factor.

The resizing transforms of this module differ from albumentations' in these respects alone. A
keypoint's scale grows by the root of the area's factor; elsewhere albumentations takes the larger
of the two axes' factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ean_transfer.crowd_counting.points import are_inside
from ean_transfer.data.albumentations import albumentations, build_augmentation

_LEAVES_POINTS = "does not move points with what they mark"
_REFUSED = {
    # The base of ElasticTransform, GridDistortion ...: they draw each point as a spot of 3 x 3
    # pixels, warp the drawing and look for the spots; those that others have covered are lost.
    "BaseDistortion": "loses points that lie close together",
    "GridElasticDeform": _LEAVES_POINTS,
    "RandomGridShuffle": _LEAVES_POINTS,
    "CropAndPad": f"{_LEAVES_POINTS} when it resizes: take RandomCrop or RandomResizedCrop",
}
Keypoints = npt.NDArray[np.float32]  # (N, 5): x, y, z, angle, scale; or empty


def build_point_augmentation(transform: dict[str, Any]) -> albumentations.Compose:
    """Build a transform that is called with ``image`` (H, W, 3) and ``keypoints`` (N, 3).

    Keypoints are x, y and scale. Those that leave the image are left out, also where the next
    transform of a composition would bring them back: a padding after a crop.

    Args:
        transform: See :func:`~ean_transfer.data.albumentations.build_augmentation`.

    Raises:
        ConfigError: There is no such transform, it does not keep points on what they mark, or it
            does not take one of its arguments.
    """
    # Albumentations' own rule drops points within half a pixel of the edge, and those in dropouts.
    keypoints = albumentations.KeypointParams(format="xys", remove_invisible=False)
    step = build_augmentation(
        transform, "AlbuPoints", refused=_REFUSED, replaced=RESIZING, keypoint_params=keypoints
    )
    step.processors["keypoints"].filter = _inside  # called after each transform
    return step


class Resize(albumentations.Resize):
    def apply_to_keypoints(self, keypoints: Keypoints, **params: Any) -> Keypoints:
        return _resized(keypoints, params["shape"], (self.height, self.width))


class RandomScale(albumentations.RandomScale):
    def apply_to_keypoints(self, keypoints: Keypoints, scale: float, **params: Any) -> Keypoints:
        height, width = params["shape"][:2]
        return _resized(keypoints, (height, width), (int(height * scale), int(width * scale)))


class _MaxSize:
    def apply_to_keypoints(self, keypoints: Keypoints, scale: float, **params: Any) -> Keypoints:
        height, width = params["shape"][:2]
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        return _resized(keypoints, (height, width), size)


class LongestMaxSize(_MaxSize, albumentations.LongestMaxSize):
    pass


class SmallestMaxSize(_MaxSize, albumentations.SmallestMaxSize):
    pass


class _SizedCrop:
    size: tuple[int, int]

    def apply_to_keypoints(
        self, keypoints: Keypoints, crop_coords: tuple[int, int, int, int], **params: Any
    ) -> Keypoints:
        left, top, right, bottom = crop_coords
        moved = keypoints.copy()
        moved[:, :2] -= (left, top)
        return _resized(moved, (bottom - top, right - left), self.size)


class RandomResizedCrop(_SizedCrop, albumentations.RandomResizedCrop):
    pass


class RandomSizedCrop(_SizedCrop, albumentations.RandomSizedCrop):
    pass


RESIZING = {
    getattr(albumentations, kind.__name__): kind
    for kind in (
        Resize,
        RandomScale,
        LongestMaxSize,
        SmallestMaxSize,
        RandomResizedCrop,
        RandomSizedCrop,
    )
}
"""Albumentations' resizing transforms, and what is built in their place."""


def _inside(keypoints: Keypoints, shape: dict[str, int]) -> Keypoints:
    """The keypoints within an image."""
    return keypoints[are_inside(keypoints[:, :2], (shape["height"], shape["width"]))]


def _resized(keypoints: Keypoints, old: tuple[int, ...], new: tuple[int, int]) -> Keypoints:
    """Move keypoints as ``cv2.resize`` moves pixels from one size (H, W) to another."""
    if not keypoints.size:
        return keypoints
    factors = np.array((new[1] / old[1], new[0] / old[0]))
    moved = keypoints.copy()
    moved[:, :2] = (keypoints[:, :2] + 0.5) * factors - 0.5
    moved[:, 4] *= np.sqrt(factors.prod())
    return moved
