"""Albumentations in segmentation pipelines, on images together with their label maps.

mmseg's own ``Albu`` (onedl-mmsegmentation 1.4.2) is not used, for three reasons: no seed reaches
its draws, which are the same in all workers (see :mod:`ean_transfer.data.albumentations`); areas
that a rotation or a padding adds get label 0, which is a class; and after a crop, ``img_shape`` is
still the old one.

In a runner of mmengine's own, data loaders need ``persistent_workers=True``: without it the workers
of every epoch start from the same seed, and each epoch repeats the draws of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmcv.transforms import TRANSFORMS, BaseTransform

from ean_transfer.data.albumentations import augment, build_augmentation, seed_by_numpy

_REFUSED = dict.fromkeys(
    ("FrequencyMasking", "GridElasticDeform", "TimeMasking"),  # they take no fill_mask
    "gives label 0, a class, to what it opens or hides",
)


@TRANSFORMS.register_module()
class AlbuSeg(BaseTransform):
    """Albumentations on an image and its label map, which move together.

    Labels are never interpolated: label maps are resized and warped by nearest neighbour, whatever
    a transform asks for; ``area_for_downscale="image_mask"`` is refused. Areas beyond the image's
    edge get ``ignore_index``; a padding that mirrors the image mirrors its labels. Dropouts
    (``CoarseDropout``, ...) hide a part of the image and keep its labels, unless their
    ``fill_mask`` is given.

    Args:
        transforms: Albumentations transforms in order, each as a dict whose ``type`` is a name or
            class of albumentations, e.g. ``dict(type="Rotate", limit=10, p=0.5)``; ``OneOf`` and
            the like hold a list of such dicts as their ``transforms``. They see the image as RGB.
        ignore_index: The label that losses and metrics leave out.

    Raises:
        ConfigError: A transform is unknown, needs boxes, blends labels, gives hidden areas label 0
            or does not take one of its arguments; or, when it is applied, makes something else of
            an image than an image (``ToTensorV2``, ``Normalize``).
    """

    def __init__(self, transforms: Sequence[dict[str, Any]], ignore_index: int = 255) -> None:
        self.steps = [
            build_augmentation(
                transform,
                "AlbuSeg",
                refused=_REFUSED,
                fill_mask=ignore_index,
                mask_interpolation=cv2.INTER_NEAREST,
            )
            for transform in transforms
        ]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, ``img_shape`` and, where there are any, ``gt_seg_map``, ``pad_shape``."""
        arrays = {"image": _channels_reversed(results["img"])}
        if "gt_seg_map" in results:
            arrays["mask"] = results["gt_seg_map"]
        # mmengine seeds NumPy in each worker, and albumentations would not follow by itself.
        seed_by_numpy(self.steps)
        for step in self.steps:
            arrays = augment(step, "AlbuSeg", results.get("img_path"), **arrays)
        results["img"] = _channels_reversed(arrays["image"])
        results["img_shape"] = arrays["image"].shape[:2]
        if "pad_shape" in results:
            results["pad_shape"] = results["img_shape"]
        if "mask" in arrays:
            results["gt_seg_map"] = arrays["mask"]
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(steps={self.steps})"


def _channels_reversed(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The image with BGR turned into RGB, or back; without channels it is returned unchanged."""
    return np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else image
