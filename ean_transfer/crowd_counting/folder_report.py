"""The report of ``tools/dataset.py check``: everything that is wrong with a data set's folder.

A data set itself stops at the first problem and reads only the headers of the images. The report
lists all problems, and decodes every image, one by one.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ean_transfer.crowd_counting.close_points import ClosePoints, close_points
from ean_transfer.crowd_counting.datasets import CountingDataset, OtherImageError, Pair
from ean_transfer.crowd_counting.datasets.base import distances_outside, farthest_clamped
from ean_transfer.crowd_counting.datasets.names import Kind, open_unread
from ean_transfer.crowd_counting.points import Points, as_points
from ean_transfer.data.folder_report import (
    ImageFacts,
    ImageSurvey,
    as_text,
    fact_rows,
    joined,
    problem,
    relative_name,
    row,
    without_path,
)
from ean_transfer.io.images import read_orientation
from ean_transfer.io.progress import progress_bar

_HEADINGS = {
    "images_without_annotation": "images without annotation",
    "annotations_without_image": "annotations without image",
    "listed_without_image": "listed, but no image",
    "same_number": "number already taken",
    "unreadable_images": "unreadable images",
    "unreadable_annotations": "unreadable annotations",
    "other_image": "of another image",
    "points_not_finite": "points not finite",
    "points_outside": "points outside the image",
    "points_far_outside": "points far outside",
    "duplicate_points": "duplicate points",
    "close_points": "points that nearly repeat",
    "images_without_points": "images without points",
    "unclear_orientation": "turned, or not, by EXIF",
    "left_out": "left out, other names",
}


@dataclass(frozen=True)
class Counts:
    """Points per image, over the images whose annotation could be read."""

    images: int
    min: int
    mean: float
    max: int
    total: int


@dataclass(frozen=True)
class DatasetReport:
    """The result of :func:`check_dataset`. Files are named relative to ``data_root``.

    Attributes:
        dataset: Name of the data set's class.
        data_root: The folder.
        options: Arguments that the data set was built with.
        outside: The data set's treatment of points outside their image, ``"error"`` or ``"clamp"``.
        images: Number of images, readable or not.
        counts: ``None`` if there are no labels, or none that can be read.
        images_without_annotation: Image files.
        annotations_without_image: Annotation files.
        listed_without_image: Entries of a split's list.
        same_number: Files that are not used, because another has their number.
        unreadable_images: Image file -> why it cannot be decoded in full.
        unreadable_annotations: Annotation file -> why it cannot be read.
        other_image: Annotation file -> which image it claims to belong to.
        points_not_finite: Annotation file -> number of points with NaN or infinity.
        points_outside: Annotation file -> number of points outside ``[0, W] x [0, H]``.
        points_far_outside: Annotation file -> number of points too far outside to be moved onto
            the border; probably the file belongs to another image.
        farthest_outside: Largest distance of a point from its image, in pixels.
        duplicate_points: Annotation file -> number of points that repeat another exactly.
        close_points: Annotation file -> points that repeat another a fraction of a pixel apart.
        images_without_points: Images whose annotation is empty.
        may_lack_points: Whether the data set was published with such images.
        unclear_orientation: Image file -> its EXIF orientation, where points fit the image both
            turned and as stored; the data set is refused until its pipeline says which is meant.
        left_out: Files in the same folders that are neither images nor annotations by their names.
        facts: What the image files are like.
    """

    dataset: str
    data_root: str
    options: Mapping[str, Any]
    outside: str
    images: int
    counts: Counts | None
    images_without_annotation: tuple[str, ...] = ()
    annotations_without_image: tuple[str, ...] = ()
    listed_without_image: tuple[str, ...] = ()
    same_number: tuple[str, ...] = ()
    unreadable_images: Mapping[str, str] = field(default_factory=dict)
    unreadable_annotations: Mapping[str, str] = field(default_factory=dict)
    other_image: Mapping[str, str] = field(default_factory=dict)
    points_not_finite: Mapping[str, int] = field(default_factory=dict)
    points_outside: Mapping[str, int] = field(default_factory=dict)
    points_far_outside: Mapping[str, int] = field(default_factory=dict)
    farthest_outside: float = 0.0
    duplicate_points: Mapping[str, int] = field(default_factory=dict)
    close_points: Mapping[str, ClosePoints] = field(default_factory=dict)
    images_without_points: tuple[str, ...] = ()
    may_lack_points: bool = False
    unclear_orientation: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    facts: ImageFacts = field(default_factory=ImageFacts, compare=False)

    @property
    def problems(self) -> tuple[str, ...]:
        """Names of the attributes that hold a problem; see also :attr:`notes`."""
        return tuple(name for name in _HEADINGS if getattr(self, name) and name not in self.notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """Names of the attributes that hold something to know, but no problem.

        Points outside are no problem where the data set moves them onto the border, and images
        without points where the data set was published with some.
        """
        no_problem = {
            "points_outside": self.outside == "clamp",
            "images_without_points": self.may_lack_points,
            "left_out": True,
        }
        return tuple(
            name for name, is_note in no_problem.items() if is_note and getattr(self, name)
        )


def check_dataset(kind: Kind, data_root: str | os.PathLike[str], **options: Any) -> DatasetReport:
    """Read a data set's whole folder and report every problem.

    Args:
        kind: A key of :data:`~ean_transfer.crowd_counting.datasets.names.KINDS`, a data set's
            registered name, or its class.
        data_root: Its folder.
        **options: The data set's own arguments, e.g. ``part="B", split="test"``.

    Raises:
        ConfigError: There is no such data set, or it does not take an option.
        DataError: A folder is missing or without images, or a split's list is missing or malformed.
    """
    dataset = open_unread(kind, data_root, options)
    files = dataset.list_files()
    findings = _Findings(dataset)
    pairs = [*files.pairs, *(Pair(image, None) for image in files.images_without_annotation)]
    with progress_bar() as progress:
        task = progress.add_task("checking", total=len(pairs), note="")
        for pair in pairs:
            findings.examine(pair)
            progress.advance(task)
    facts = findings.survey.facts()
    return DatasetReport(
        dataset=type(dataset).__name__,
        data_root=dataset.data_root,
        options=options,
        outside=dataset.outside,
        images=len(pairs),
        counts=_summary(findings.counts),
        images_without_annotation=tuple(map(findings.name, files.images_without_annotation)),
        annotations_without_image=tuple(map(findings.name, files.annotations_without_image)),
        listed_without_image=files.listed_without_image,
        same_number=tuple(findings.name(second) for _, second in files.same_number),
        farthest_outside=findings.farthest_outside,
        images_without_points=tuple(findings.images_without_points),
        may_lack_points=dataset.without_points,
        left_out=tuple(map(findings.name, files.left_out)),
        unreadable_images=facts.unreadable_images,
        facts=facts,
        **findings.problems,
    )


class _Findings:
    """Counts and problems of the images and annotations examined so far.

    Attributes:
        survey: What the images are like.
        counts: Number of points of each annotation that could be read.
        problems: Field of :class:`DatasetReport` -> file -> number of points, or reason.
        farthest_outside: Distance in pixels of the farthest point outside its image.
        images_without_points: Images whose annotation is empty.
    """

    def __init__(self, dataset: CountingDataset) -> None:
        self.dataset = dataset
        self.survey = ImageSurvey(Path(dataset.data_root), dataset.exif)
        self.counts: list[int] = []
        self.problems: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self.farthest_outside = 0.0
        self.images_without_points: list[str] = []

    def examine(self, pair: Pair) -> None:
        pixels = self.survey.read(pair.image)
        image_size = None if pixels is None else pixels.shape[:2]
        if pair.annotation is None:
            return
        name = self.name(pair.annotation)
        try:
            if image_size is not None:
                self.dataset.check_annotation(pair.annotation, pair.image, image_size)
            points = as_points(self.dataset.read_points(pair.annotation))
        except OtherImageError as error:
            self.problems["other_image"][name] = without_path(error, pair.annotation)
        except (ValueError, TypeError, OSError) as error:  # DataError is a ValueError
            self.problems["unreadable_annotations"][name] = without_path(error, pair.annotation)
        else:
            self._examine_points(name, points, image_size)
            if not len(points):
                self.images_without_points.append(self.name(pair.image))
            if image_size and self.dataset.orientation_is_unclear(
                pair.annotation, pair.image, points
            ):
                turned = read_orientation(pair.image)
                self.problems["unclear_orientation"][self.name(pair.image)] = turned

    def _examine_points(
        self, name: str, points: Points, image_size: tuple[int, int] | None
    ) -> None:
        self.counts.append(len(points))
        finite = points[np.isfinite(points).all(axis=1)]
        if len(finite) < len(points):
            self.problems["points_not_finite"][name] = len(points) - len(finite)
        if repeated := len(finite) - len(np.unique(finite, axis=0)):
            self.problems["duplicate_points"][name] = repeated
        if close := close_points(finite):
            self.problems["close_points"][name] = close
        if image_size is not None:
            distances = distances_outside(finite, image_size)
            if outside := np.count_nonzero(distances):
                self.problems["points_outside"][name] = int(outside)
                self.farthest_outside = max(self.farthest_outside, float(distances.max()))
            if far := np.count_nonzero(distances > farthest_clamped(image_size)):
                self.problems["points_far_outside"][name] = int(far)

    def name(self, path: Path) -> str:
        return relative_name(path, Path(self.dataset.data_root))


def report_text(report: DatasetReport) -> str:
    """The report as text: a few lines, with a few files for each kind of problem."""
    options = "".join(f", {name} {value}" for name, value in report.options.items())
    lines = [f"{report.dataset}{options}: {report.data_root}", *fact_rows(report.facts)]
    if report.counts is None:
        lines.append(row("points", "no labels"))
    else:
        counts = report.counts
        spread = f"{counts.min} to {counts.max} per image, {counts.mean:.1f} on average"
        partly = "" if counts.images == report.images else f" (of {counts.images} images)"
        lines.append(row("points", f"{counts.total}, {spread}{partly}"))
    moved = "; the data set moves them onto it"
    lines += [
        _problem(report, name) + (moved if name == "points_outside" else "")
        for name in report.notes
    ]
    lines.append("problems:" if report.problems else "no problems")
    lines += [_problem(report, name) for name in report.problems]
    return as_text(lines)


def _problem(report: DatasetReport, name: str) -> str:
    heading, files = _HEADINGS[name], getattr(report, name)
    if name == "close_points":
        shown = [
            f"{file} ({close.points}: {close.nearest:.2g} to {close.farthest:.2g} pixels)"
            for file, close in files.items()
        ]
        total = sum(close.points for close in files.values())
        return row(heading, f"{total}, less than a pixel apart, in {joined(shown)}")
    if name == "unclear_orientation":
        shown = [f"{file} ({orientation})" for file, orientation in files.items()]
        advice = "give the pipeline's LoadCountingImage exif='apply' or exif='ignore'"
        return row(heading, f"{len(files)}: {joined(shown)}; {advice}")
    if name.startswith(("points", "duplicate")):
        farthest = f", farthest {report.farthest_outside:.1f} pixels"
        more = farthest if name == "points_outside" else ""
        shown = [f"{file} ({count})" for file, count in files.items()]
        return row(heading, f"{sum(files.values())}{more}, in {joined(shown)}")
    return problem(heading, files)


def _summary(counts: list[int]) -> Counts | None:
    if not counts:
        return None
    total = sum(counts)
    return Counts(len(counts), min(counts), total / len(counts), max(counts), total)
