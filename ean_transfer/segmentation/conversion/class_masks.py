"""Label images put together from one folder of binary masks per class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ean_transfer.data.conversion.areas import Labels
from ean_transfer.data.conversion.matching import own_name
from ean_transfer.data.conversion.objects import AnnotatedImage
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, list_images
from ean_transfer.io.images import read_image
from ean_transfer.segmentation.conversion.drawn import BACKGROUND, label_numbers

MasksOf = dict[str, dict[str, Path]]
"""Path of an image without its suffix -> class -> mask."""


def class_folders(root: Path) -> list[str]:
    """Names of the folders in a folder, sorted."""
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] not in "._")


def masks_by_image(root: Path, settings: Settings) -> MasksOf:
    """List the masks of all classes.

    Raises:
        ConfigError: A class of the settings has no folder.
        DataError: There are no folders with masks, or a class has two of one name.
    """
    names = class_folders(root)
    asked = [name for name in settings.classes if name != BACKGROUND]
    if unknown := [name for name in asked if name not in names]:
        raise ConfigError(
            f"{root}: expected a folder of masks for {unknown[0]!r}, found {', '.join(names)}; "
            "correct --classes"
        )
    masks: MasksOf = {}
    suffixes = settings.label_suffix or IMAGE_SUFFIXES
    for name in [*settings.classes, *settings.ignore] if settings.classes else names:
        for file in list_images(root / name, suffixes, recursive=True).images:
            stem = own_name(file.relative_to(root / name), settings.label_suffix)
            known = masks.setdefault(stem, {}).setdefault(name, file)
            if known != file:
                raise DataError(
                    f"{file}: expected one mask of {name} per image, found {known.name} as well; "
                    "take one of them away, or name the ends of the masks with --label-suffix"
                )
    if not masks:
        raise DataError(
            f"{root}: expected one folder of masks per class, found no masks "
            f"(*{' *'.join(suffixes)}) in {', '.join(names) or 'no folder'}; for colour images "
            "give --table"
        )
    return masks


def put_together(
    matched: Mapping[str, AnnotatedImage],
    masks: MasksOf,
    classes: tuple[str, ...],
    settings: Settings,
    left_out: LeftOut,
) -> Iterator[tuple[str, Labels]]:
    """Yield the label image of each image, later classes over earlier ones.

    Args:
        matched: Image's path -> its masks, whose key is ``where``, and their size.
        masks: All masks.
        classes: Names of the classes.
        settings: What becomes of pixels in no mask, and the masks' threshold.
        left_out: Where to say how many pixels are in several masks.

    Raises:
        DataError: A mask cannot be read, has another size, or is not binary.
    """
    label_of, rest = label_numbers(classes, settings)
    for name, image in matched.items():
        assert image.size is not None, "match() gives the image's"
        labels = np.full(image.size, rest, np.uint8)
        taken = np.zeros(image.size, bool)
        for class_name, file in masks[image.where].items():
            inside = _inside(file, image.size, settings.threshold)
            overlap = int((taken & inside).sum())
            left_out.add("pixels in masks of several classes: the last one counts", name, overlap)
            labels[inside] = label_of[class_name]
            taken |= inside
        yield name, labels


def _inside(file: Path, size: tuple[int, int], threshold: int | None) -> npt.NDArray[np.bool_]:
    values = read_image(file).max(axis=2)
    if values.shape != size:
        raise DataError(
            f"{file}: expected a mask of {size[1]} x {size[0]} pixels, as its image has, found "
            f"{values.shape[1]} x {values.shape[0]}; give the original"
        )
    others = np.unique(values[values > 0])
    if threshold is None and len(others) > 1:
        raise DataError(
            f"{file}: expected a binary mask, 0 and one other value, found {len(others)} others "
            f"({', '.join(map(str, others[:5]))}, ...); use --threshold 127 if it is one that JPEG "
            "or scaling has blurred, or --table for an image of several classes"
        )
    inside: npt.NDArray[np.bool_] = values > (threshold or 0)
    return inside
