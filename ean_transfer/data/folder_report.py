"""What reports on data sets' folders have in common: facts of the image files, and their text."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from ean_transfer.errors import DataError
from ean_transfer.io.images import Exif, read_depth, read_image, read_orientation
from ean_transfer.io.terminal import printable

FILES_SHOWN = 5  # per kind of problem, in the text; the report itself names all


@dataclass(frozen=True)
class ImageFacts:
    """What the image files of a folder are like. Files are named relative to the folder.

    Attributes:
        images: Number of image files, readable or not.
        sizes: ``"WIDTH x HEIGHT"`` in pixels, as the images are read -> number of images.
        suffixes: End of the name as it is written -> number of images.
        depths: Bits per channel and colours as they are stored -> number of images.
        orientations: Image file -> its EXIF orientation, where it is not 1.
        mean: Mean value of red, green and blue over all pixels, 0 to 255; empty without an image.
        spread: Their standard deviation.
        unreadable_images: Image file -> why it cannot be decoded in full.
    """

    images: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    suffixes: Mapping[str, int] = field(default_factory=dict)
    depths: Mapping[str, int] = field(default_factory=dict)
    orientations: Mapping[str, int] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    unreadable_images: Mapping[str, str] = field(default_factory=dict)


class ImageSurvey:
    """Decodes images one by one and collects their facts.

    Args:
        folder: The folder that the images lie in.
        exif: Whether EXIF orientations are applied.
    """

    def __init__(self, folder: Path, exif: Exif = "apply") -> None:
        self._folder = folder
        self._exif: Exif = exif
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("sizes", "suffixes", "depths")
        }
        self._orientations: dict[str, int] = {}
        self._unreadable: dict[str, str] = {}
        # Of each channel, BGR: values up to the second power, added up; and the number of pixels.
        self._sums, self._pixels = np.zeros((2, 3)), 0

    def read(self, image: Path) -> npt.NDArray[np.uint8] | None:
        """Decode an image, (H, W, 3) BGR; ``None`` if that is not possible."""
        name = relative_name(image, self._folder)
        self._counts["suffixes"][image.suffix or "without"] += 1
        try:
            self._counts["depths"][read_depth(image)] += 1
            orientation = read_orientation(image)
            pixels = read_image(image, self._exif)
        except DataError as error:
            self._unreadable[name] = without_path(error, image)
            return None
        if orientation != 1:
            self._orientations[name] = orientation
        self._counts["sizes"][f"{pixels.shape[1]} x {pixels.shape[0]}"] += 1
        mean, spread = (values[:, 0] for values in cv2.meanStdDev(pixels))
        number = pixels.shape[0] * pixels.shape[1]
        self._sums += number * np.stack([mean, mean**2 + spread**2])
        self._pixels += number
        return pixels

    def facts(self) -> ImageFacts:
        """The facts of the images that were read."""
        counts = {name: dict(counter.most_common()) for name, counter in self._counts.items()}
        mean, squares = self._sums[:, ::-1] / max(1, self._pixels)
        spread = np.sqrt(np.maximum(0.0, squares - mean**2))
        has_pixels = self._pixels > 0
        return ImageFacts(
            images=self._counts["suffixes"].total(),
            orientations=self._orientations,
            mean=tuple(mean.round(2).tolist()) if has_pixels else (),
            spread=tuple(spread.round(2).tolist()) if has_pixels else (),
            unreadable_images=self._unreadable,
            **counts,
        )


@dataclass(frozen=True)
class FolderReport:
    """Base of the reports on a folder of labelled images. Files are named relative to the folder.

    Attributes:
        HEADINGS: Attribute that may hold a problem -> its heading.
        folder: The folder.
        options: What was said of the folder.
        facts: What the image files are like.
        left_out: Files that are not used, by their names.
    """

    HEADINGS: ClassVar[Mapping[str, str]] = {"unreadable_images": "unreadable images"}

    folder: str
    options: Mapping[str, Any]
    facts: ImageFacts
    left_out: tuple[str, ...]

    @property
    def unreadable_images(self) -> Mapping[str, str]:
        """Image file -> why it cannot be decoded in full."""
        return self.facts.unreadable_images

    @property
    def problems(self) -> tuple[str, ...]:
        """Names of the attributes that hold a problem."""
        return tuple(name for name in self.HEADINGS if getattr(self, name))


def report_text(report: FolderReport, kind: str, lines: Iterable[str]) -> str:
    """A report as text: a few lines, with a few files for each kind of problem.

    Args:
        report: The report.
        kind: The kind of data set.
        lines: Lines on its labels, see :func:`row`.
    """
    options = "".join(f", {name} {value}" for name, value in report.options.items())
    text = [f"{kind}{options}: {report.folder}", *fact_rows(report.facts)]
    if report.left_out:
        text.append(row("left out", f"{len(report.left_out)}: {joined(report.left_out)}"))
    text += lines
    text.append("problems:" if report.problems else "no problems")
    text += [problem(report.HEADINGS[name], getattr(report, name)) for name in report.problems]
    return as_text(text)


def as_text(parts: Iterable[str]) -> str:
    """Lines, or several at once, as one text that is safe to print."""
    return "\n".join(printable(line) for part in parts for line in part.split("\n"))


def fact_rows(facts: ImageFacts) -> list[str]:
    """Lines on what the images are like."""
    rows = [row("images", str(facts.images))]
    for heading, counts in (
        ("sizes", facts.sizes),
        ("suffixes", facts.suffixes),
        ("stored as", facts.depths),
    ):
        rows.append(row(heading, joined([f"{n} of {what}" for what, n in counts.items()]) or "-"))
    if facts.mean:
        shown = [f"{m:.1f} ± {s:.1f}" for m, s in zip(facts.mean, facts.spread, strict=True)]
        rows.append(row("red, green, blue", ", ".join(shown)))
    if facts.orientations:
        shown = [f"{file} ({orientation})" for file, orientation in facts.orientations.items()]
        rows.append(row("turned by EXIF", f"{len(shown)}: {joined(shown)}"))
    return rows


def problem(heading: str, files: Sequence[str] | Mapping[str, Any]) -> str:
    """Lines on one kind of problem: how many files it has, and the first of them.

    Args:
        heading: Name of the kind.
        files: The files, or a reason for each file.
    """
    if not isinstance(files, Mapping):
        return row(heading, f"{len(files)}: {joined(files)}")
    reasons = [f"    {file}: {reason}" for file, reason in files.items()]
    rest = [f"    and {len(files) - FILES_SHOWN} more"] if len(files) > FILES_SHOWN else []
    return "\n".join([row(heading, str(len(files))), *reasons[:FILES_SHOWN], *rest])


def row(heading: str, text: str) -> str:
    """A line of a report."""
    return f"  {heading:<27}{text}"


def joined(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    rest = f" and {len(names) - FILES_SHOWN} more" if len(names) > FILES_SHOWN else ""
    return ", ".join(names[:FILES_SHOWN]) + rest


def without_path(error: Exception, path: str | os.PathLike[str]) -> str:
    """An error's message without the file that it begins with."""
    return str(error).removeprefix(str(path)).lstrip(":, ")


def relative_name(path: str | os.PathLike[str], folder: Path) -> str:
    """A file's path in the folder, with slashes."""
    return Path(path).relative_to(folder).as_posix()
