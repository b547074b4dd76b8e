"""What a folder of labelled images holds: its images, their sizes, its classes, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median_low
from typing import Any, Literal

from ean_transfer.classification import folder_report as classification
from ean_transfer.classification.image_folder import class_files
from ean_transfer.crowd_counting.datasets.plain import PointsDataset
from ean_transfer.crowd_counting.folder_report import check_dataset
from ean_transfer.crowd_counting.folder_report import report_text as counting_text
from ean_transfer.data.folder_report import ImageFacts
from ean_transfer.data.plain import POINTS, part_of, read_classes
from ean_transfer.errors import DataError
from ean_transfer.io.files import expanded
from ean_transfer.io.image_files import IMAGE_SUFFIXES
from ean_transfer.project.first_look import TRAIN
from ean_transfer.segmentation import folder_report as segmentation

TaskName = Literal["classification", "segmentation", "counting"]

_TESTS = ("val", "valid", "validation", "test")  # folders of the part to test on
_MANY = 0.4  # share of images without an object, from where a warning is due
_UNEVEN = 3.0  # times as many labels of one class as of another, from where weights are suggested


@dataclass(frozen=True)
class Folder:
    """One folder of labelled images.

    Attributes:
        root: The folder, as the task's plain data set reads it.
        images: Class -> usable images, as paths in ``root``; one class for tasks without.
        classes: Names of the classes, in the order of their labels; empty for counting.
        weights: Suggested weight of each class in the loss, where they are uneven; else empty.
        size: Median width and height of the images, in pixels.
        smallest: Shortest side of all images, in pixels.
        left_out: Images that have a fault and are not used.
        report: What ``ean dataset check`` says of the folder.
        warnings: What may be a mistake, one line each.
    """

    root: Path
    images: Mapping[str, Sequence[str]]
    classes: tuple[str, ...]
    weights: tuple[float, ...]
    size: tuple[int, int]
    smallest: int
    left_out: tuple[str, ...]
    report: str
    warnings: tuple[str, ...] = ()

    @property
    def all_images(self) -> list[str]:
        """The usable images of all classes."""
        return [image for images in self.images.values() for image in images]

    @property
    def number(self) -> int:
        """Number of usable images."""
        return sum(map(len, self.images.values()))


@dataclass(frozen=True)
class Data:
    """The labelled images of a user, with a part to test on if the data comes with one."""

    train: Folder
    val: Folder | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of the task's plain data set


def look(task: TaskName, data_root: Path, options: Mapping[str, Any] | None = None) -> Data:
    """Read every image and label of a folder.

    A folder that holds ``train`` and ``val`` (or ``test``) is read as these two parts.

    Args:
        task: What the labels are: one folder per class, ``images`` and ``labels``, or
            ``points.csv``.
        data_root: The folder.
        options: Arguments of the task's plain data set, e.g. ``image_suffix="cell.png"``.

    Raises:
        ConfigError: The data set has no such option.
        DataError: There is no such folder, it is not what the task's plain data set reads, or no
            image in it can be used.
    """
    root = expanded(data_root).resolve()
    if not root.is_dir():
        raise DataError(f"{data_root}: expected the data's folder, found no such folder")
    chosen = dict(options or {})
    part = part_of(root, chosen.get("split", ""))
    if part.chosen is None:  # a folder, whose images the project's lists name by their paths in it
        root = part.folder
        chosen.pop("split", None)
    read = partial(_READERS[task], options=dict(chosen))
    chosen.pop("num_classes", None)  # of a folder's report; the configs name the classes
    parts = (root / TRAIN).is_dir()
    train = _checked(read(root / TRAIN if parts else root))
    if task == "classification" and len(train.classes) < 2:
        raise DataError(
            f"{train.root}: expected images of two classes or more, found those of "
            f"{train.classes[0]} alone; give the folder that holds all classes"
        )
    if not parts:
        return Data(train, options=chosen)
    tests = [root / name for name in _TESTS if (root / name).is_dir()]
    val = _checked(read(tests[0])) if tests else None
    if val is not None and set(val.classes) - set(train.classes):
        strange = sorted(set(val.classes) - set(train.classes))
        raise DataError(
            f"{val.root}: expected the classes of {train.root}, found {strange[0]!r} as well"
        )
    return Data(train, val, chosen)


def _checked(folder: Folder) -> Folder:
    if folder.number == 0:
        raise DataError(f"{folder.root}: no image that can be used:\n{folder.report}")
    return folder


def _classification(root: Path, options: dict[str, Any]) -> Folder:
    report = classification.check_folder(root, **options)
    files = class_files(root, options.get("extensions", IMAGE_SUFFIXES))
    bad = {*report.unreadable_images, *report.in_several_classes}
    by_class = {
        name: [image for image in images if Path(image).as_posix() not in bad]
        for name, images in files.by_class.items()
        if images
    }
    names = [name for name in read_classes(root) or by_class if name in by_class]
    return Folder(
        root,
        {name: by_class[name] for name in names},
        tuple(names),
        _weights([report.class_weights[name] for name in names]),
        *_sizes(report.facts),
        tuple(sorted(bad)),
        classification.report_text(report),
    )


def _segmentation(root: Path, options: dict[str, Any]) -> Folder:
    named = read_classes(root) or read_classes(root.parent)
    if named:
        options = {"num_classes": len(named)} | options
    report = segmentation.check_folder(root, **options)
    _, files = segmentation.list_files(root, segmentation.SegmentationFolder(**options))
    bad = {
        *report.unreadable_images,
        *report.unclear_orientation,
        *report.unreadable_labels,
        *report.other_size,
        *report.other_values,
        *report.all_ignored,
    }
    pairs = [[file.relative_to(root).as_posix() for file in pair] for pair in files.pairs]
    usable = [image for image, label in pairs if not {image, label} & bad]
    return Folder(
        root,
        {"": usable},
        named or tuple(f"class {label}" for label in range(report.num_classes)),
        _weights(report.class_weights),
        *_sizes(report.facts),
        tuple(sorted({*report.images_without_labels, *(i for i, _ in pairs)} - {*usable})),
        segmentation.report_text(report),
    )


def _counting(root: Path, options: dict[str, Any]) -> Folder:
    report = check_dataset(PointsDataset, root, **options)
    bad = {
        *report.unreadable_images,
        *report.unreadable_annotations,
        *report.points_not_finite,
        *report.points_outside,
        *report.points_far_outside,
        *report.unclear_orientation,
    }
    pairs = PointsDataset(root, lazy_init=True, **options).list_files().pairs
    images = [pair.image.relative_to(root).as_posix() for pair in pairs]
    return Folder(
        root,
        {"": [image for image in images if image not in bad]},
        (),
        (),
        *_sizes(report.facts),
        tuple(sorted(bad)),
        counting_text(report),
        _empty(report.images_without_points, report.images, options.get("points_file", POINTS)),
    )


def _empty(images: Sequence[str], number: int, table: str) -> tuple[str, ...]:
    """A warning where so many images have no object that the table may not be theirs."""
    if len(images) < _MANY * number:
        return ()
    return (
        f"{len(images)} of {number} images have no line in {table} and count as empty "
        f"({images[0]}, ...); if they are not your images, name those that are: "
        "--data-option image_suffix=END_OF_THEIR_NAMES",
    )


_READERS: Mapping[TaskName, Callable[..., Folder]] = {
    "classification": _classification,
    "segmentation": _segmentation,
    "counting": _counting,
}


def _weights(weights: Sequence[float | None]) -> tuple[float, ...]:
    """Weights of the classes if they are uneven; 1 for an absent class."""
    known = [weight for weight in weights if weight is not None]
    if not known or max(known) < _UNEVEN * min(known):
        return ()
    # Their square roots: whole weights find rare classes everywhere.
    return tuple(1.0 if weight is None else round(weight**0.5, 2) for weight in weights)


def _sizes(facts: ImageFacts) -> tuple[tuple[int, int], int]:
    """Median size (width, height), and the shortest side."""
    sizes = [
        (int(width), int(height), number)
        for text, number in facts.sizes.items()
        for width, _, height in [text.split()]
    ]
    if not sizes:
        return (0, 0), 0
    widths = [width for width, _, number in sizes for _ in range(number)]
    heights = [height for _, height, number in sizes for _ in range(number)]
    smallest = min(min(width, height) for width, height, _ in sizes)
    return (median_low(widths), median_low(heights)), smallest
