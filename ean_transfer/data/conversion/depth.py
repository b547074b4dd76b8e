"""Images of more than 8 bits per channel, as microscopes and scanners write, scaled to 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ean_transfer.data.conversion.writing import new_folder, refuse_existing
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.image_files import IMAGE_SUFFIXES, list_images
from ean_transfer.io.images import read_deep_image
from ean_transfer.io.progress import progress_bar

_QUANTILES = (0.001, 0.999)  # a few hot or dead pixels would take the whole range


@dataclass(frozen=True)
class ScaledImages:
    """What scaling a folder of images did.

    Attributes:
        images: Number of images.
        low: Value that became 0, and all below it.
        high: Value that became 255, and all above it.
        outside: Share of values below or above.
        left_out: One line about other files, which are not copied; empty if there are none.
    """

    images: int
    low: float
    high: float
    outside: float
    left_out: str


def to_8_bits(
    source: Path,
    target: Path,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
    limits: tuple[float, float] | None = None,
) -> ScaledImages:
    """Write the images of a folder, and of those in it, with 8 bits per channel, all scaled alike.

    They keep their names. The folder appears whole or not at all.

    Args:
        source: The folder of the images.
        target: The folder that is written.
        suffixes: Ends of the images' names.
        limits: The values that become 0 and 255. By default the lowest 0.1 % quantile that an image
            has, and the highest 99.9 % quantile.

    Raises:
        ConfigError: The target exists, or the limits are no range.
        DataError: The source has no images, one cannot be read or has 8 bits already, or all have
            a single value.
    """
    refuse_existing(target)
    files = list_images(source, suffixes, recursive=True)
    if not files.images:
        raise DataError(f"{source}: expected images that end in {' '.join(suffixes)}, found none")
    if limits is None:
        limits = _limits(files.images)
    low, high = limits
    if not low < high:
        raise ConfigError(f"the lower limit must be below the upper, found {low:g} and {high:g}")
    outside = values = 0
    with new_folder(target) as folder:
        for file in _with_progress(files.images, "scale"):
            image = read_deep_image(file)
            scaled = np.nan_to_num((image.astype(np.float64) - low) / (high - low) * 255)
            outside += int(((image < low) | (image > high)).sum())
            values += image.size
            written = folder / file.relative_to(source)
            written.parent.mkdir(parents=True, exist_ok=True)
            _, encoded = cv2.imencode(file.suffix, np.rint(scaled.clip(0, 255)).astype(np.uint8))
            written.write_bytes(encoded.tobytes())
    return ScaledImages(len(files.images), low, high, outside / values, files.left_out_text())


def _limits(files: Sequence[Path]) -> tuple[float, float]:
    limits = []
    for file in _with_progress(files, "read"):
        image = read_deep_image(file)
        if (finite := image[np.isfinite(image)]).size:
            limits += np.quantile(finite, _QUANTILES).tolist()
    low, high = min(limits, default=0.0), max(limits, default=0.0)
    if not low < high:
        raise DataError(
            f"{files[0].parent}: expected images of several values, found {low:g} nearly everywhere"
        )
    return low, high


def _with_progress(files: Sequence[Path], what: str) -> Iterator[Path]:
    with progress_bar() as bar:
        task = bar.add_task(what, total=len(files), note="images")
        for file in files:
            yield file
            bar.advance(task)
