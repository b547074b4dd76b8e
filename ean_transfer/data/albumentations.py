"""Augmentation by albumentations, from a config's dicts, drawn by the seed of the worker.

albumentations' own generators start from the operating system's entropy when a transform is built:
no config's seed reaches them, and a data loader's workers, copies of one process, all draw the same
numbers.
"""

from __future__ import annotations

import inspect
import os
import random
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from ean_transfer.errors import ConfigError, DataError

# albumentations asks the network for its newest version when imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations  # noqa: E402
from albumentations.augmentations.crops.transforms import CropSizeError  # noqa: E402

_NEEDS_BOXES = dict.fromkeys(
    (
        "AtLeastOneBBoxRandomCrop",
        "BBoxSafeRandomCrop",
        "RandomCropNearBBox",
        "RandomSizedBBoxSafeCrop",
    ),
    "needs boxes, and samples have none",
)
_NONE: Mapping[Any, Any] = MappingProxyType({})


def build_augmentation(
    transform: Mapping[str, Any],
    owner: str,
    *,
    refused: Mapping[str, str] = _NONE,
    replaced: Mapping[Any, Any] = _NONE,
    fill_mask: int | None = None,
    **options: Any,
) -> albumentations.Compose:
    """Build a transform of albumentations from its config.

    Args:
        transform: ``type``, a name or class of albumentations, and its arguments; a composition's
            ``transforms`` (``OneOf``, ...) are a list of such dicts.
        owner: What the transform is built for; errors begin with it.
        refused: Name of a transform, or of a class it is derived from -> why it cannot be used;
            those that need boxes are always refused.
        replaced: Class of albumentations -> what is built in its place.
        fill_mask: Label of the area that a transform opens beyond the image's edge, where the
            config gives none; albumentations' own is 0. Dropouts, which leave masks as they are,
            are not changed. With it, masks hold labels, and what would blend them is refused.
        **options: Arguments of albumentations' ``Compose``.

    Raises:
        ConfigError: There is no such transform, it is refused, or it does not take one of its
            arguments.
    """

    reasons = {**_NEEDS_BOXES, **refused}

    def build(transform: Mapping[str, Any]) -> Any:
        arguments = dict(transform)
        kind = arguments.pop("type")
        if isinstance(kind, str):
            kind = getattr(albumentations, kind)
        for base in getattr(kind, "__mro__", ()):
            if reason := reasons.get(base.__name__):
                raise ValueError(f"{kind.__name__} {reason}; leave it out")
        kind = replaced.get(kind, kind)
        if "transforms" in arguments:
            arguments["transforms"] = [build(inner) for inner in arguments["transforms"]]
        # This one goes past Compose's mask_interpolation.
        if fill_mask is not None and arguments.get("area_for_downscale") == "image_mask":
            raise ValueError("area_for_downscale='image_mask' blends labels; take 'image'")
        parameter = inspect.signature(kind).parameters.get("fill_mask")
        # Dropouts have None as their default.
        if fill_mask is not None and parameter is not None and parameter.default is not None:
            arguments.setdefault("fill_mask", fill_mask)
        return kind(**arguments)

    try:
        with warnings.catch_warnings():
            # albumentations warns that colour leaves points alone, which is right, and of unknown
            # arguments, which `strict` turns into errors.
            warnings.simplefilter("ignore", UserWarning)
            return albumentations.Compose([build(transform)], strict=True, **options)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{owner}: expected the type of a transform of albumentations, and its arguments, "
            f"found {dict(transform)}: {error}"
        ) from error


def augment(
    step: albumentations.Compose, owner: str, file: str | None, **arrays: Any
) -> dict[str, Any]:
    """Apply a transform to one sample, and make sure that its image is still an image.

    Args:
        step: The transform, from :func:`build_augmentation`.
        owner: The pipeline's step that it belongs to; errors about the config begin with it.
        file: The image's file; errors about the image begin with it.
        **arrays: ``image``, and what moves with it.

    Raises:
        DataError: The transform cannot be applied to this image, e.g. as a crop is larger.
        ConfigError: It makes a tensor, or values of another type or other channels, of the image.
    """
    image, name = arrays["image"], type(step.transforms[0]).__name__
    height, width = image.shape[:2]
    try:
        changed: dict[str, Any] = step(**arrays)
    except (ValueError, CropSizeError, cv2.error) as error:
        raise DataError(
            f"{file or 'an image'}: expected an image for {owner}'s {name}, found {width} x "
            f"{height} pixels: {' '.join(str(error).split())}; pad smaller images first (a crop's "
            "pad_if_needed=True), or take the image out"
        ) from error
    made = changed["image"]
    # Packing the sample for the network comes later, and so does the normalisation, by the model's
    # data_preprocessor, which would be the second.
    if made.dtype != image.dtype or made.shape[2:] != image.shape[2:]:
        raise ConfigError(
            f"{owner}: expected an image of {image.dtype} and shape (H, W, C) after each "
            f"transform, found {made.dtype} of shape {tuple(made.shape)} after {name}; leave it "
            "out: the model's data_preprocessor normalises images and makes tensors of them"
        )
    return changed


def seed_by_numpy(augmentations: Sequence[albumentations.Compose]) -> None:
    """Seed the next calls from NumPy's global generator, which mmengine seeds in every worker.

    All of them share one generator: seeding each by itself would start every transform from the
    same number, and a crop's place would depend on the flip's coin.
    """
    seed = int(np.random.randint(2**31))
    numpy_generator, python_generator = np.random.default_rng(seed), random.Random(seed)
    for augmentation in augmentations:
        augmentation.set_random_state(numpy_generator, python_generator)
