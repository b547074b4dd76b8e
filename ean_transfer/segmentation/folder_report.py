"""The report of ``tools/dataset.py check segmentation``: everything that is wrong with a folder.

A data set itself stops at the first problem, and a training reads only some of the label files. The
report lists all problems, and decodes every image and every label file, one pair at a time.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ean_transfer.data.folder_report import (
    FolderReport,
    ImageSurvey,
    relative_name,
    row,
    without_path,
)
from ean_transfer.data.folder_report import report_text as common_text
from ean_transfer.data.plain import part_of, read_classes
from ean_transfer.errors import DataError
from ean_transfer.io.checked import Checked, Natural, Positive
from ean_transfer.io.image_files import IMAGE_SUFFIXES
from ean_transfer.io.images import read_labels, read_orientation
from ean_transfer.io.progress import progress_bar
from ean_transfer.segmentation.label_values import LabelValues
from ean_transfer.segmentation.loading import IGNORE
from ean_transfer.segmentation.pairs import NamedFiles


class SegmentationFolder(Checked):
    """A folder of images and label files, as the arguments of a data set's config describe it.

    Args:
        split: Folder within the data set's folder, which has both others; by default itself. Or a
            list of images, as of :class:`~ean_transfer.segmentation.seg_folder.SegFolder`.
        images: Folder of the images.
        labels: Folder of the label files.
        img_suffix: Ends of the images' names, one or several.
        seg_map_suffix: Ends of the label files' names, one or several.
        num_classes: Number of classes; by default those of ``classes.txt``, or else one more than
            the highest label.
        ignore: Value of pixels without a class, beside 255.
        reduce_zero_label: Whether 0 stands for no class and 1 for the first, as in ADE20K.
    """

    what = "segmentation"

    split: str = ""
    images: str = "images"
    labels: str = "labels"
    img_suffix: str | list[str] = list(IMAGE_SUFFIXES)
    seg_map_suffix: str | list[str] = ".png"
    num_classes: Positive | None = None
    ignore: Natural = IGNORE
    reduce_zero_label: bool = False


@dataclass(frozen=True)
class SegmentationReport(FolderReport):
    """The result of :func:`check_folder`. Files are named relative to the folder.

    Attributes:
        label_files: Number of label files, readable or not.
        num_classes: Number of classes.
        pixels: Pixels of each class.
        ignored: Share of the ignored pixels.
        class_weights: Suggested weight of each class in the loss, by median frequency balancing:
            the median of all classes' frequencies over its own; ``None`` for an absent class. The
            frequency of a class is its share of the pixels of the images that show it.
        images_without_labels: Image files.
        labels_without_image: Label files.
        same_name: Files that are not used, because another of another suffix has their name.
        unreadable_labels: Label file -> why it cannot be used.
        other_size: Label file -> its size and the image's.
        other_values: Label file -> values that are no class, and number of their pixels.
        all_ignored: Label files whose pixels are all ignored.
        absent_classes: Classes that occur in no file.
        single_class: The only class that occurs, with the share of ignored pixels: from masks of 0
            and 255, nothing can be learned.
        unclear_orientation: Image file -> its EXIF orientation, where the labels fit turned and as
            stored; the pipeline must say which is meant.
    """

    HEADINGS: ClassVar[Mapping[str, str]] = {
        "images_without_labels": "images without labels",
        "labels_without_image": "labels without image",
        "same_name": "name already taken",
        "unreadable_images": "unreadable images",
        "unreadable_labels": "unreadable labels",
        "other_size": "labels of another size",
        "unclear_orientation": "turned, or not, by EXIF",
        "other_values": "values that are no class",
        "all_ignored": "every pixel ignored",
        "absent_classes": "classes in no file",
        "single_class": "a single class",
    }

    label_files: int
    num_classes: int
    pixels: tuple[int, ...]
    ignored: float
    class_weights: tuple[float | None, ...]
    images_without_labels: tuple[str, ...] = ()
    labels_without_image: tuple[str, ...] = ()
    same_name: tuple[str, ...] = ()
    unreadable_labels: Mapping[str, str] = field(default_factory=dict)
    other_size: Mapping[str, str] = field(default_factory=dict)
    other_values: Mapping[str, str] = field(default_factory=dict)
    all_ignored: tuple[str, ...] = ()
    absent_classes: tuple[str, ...] = ()
    single_class: tuple[str, ...] = ()
    unclear_orientation: Mapping[str, int] = field(default_factory=dict)


class Files(NamedTuple):
    """The files of a folder by name: pairs, and those without a partner."""

    pairs: list[tuple[Path, Path]]
    images_alone: list[Path]
    labels_alone: list[Path]
    same_name: list[Path]
    left_out: list[Path]


def check_folder(data_root: str | os.PathLike[str], **options: Any) -> SegmentationReport:
    """Read a folder of images and label files and report every problem.

    Args:
        data_root: The folder.
        **options: See :class:`SegmentationFolder`.

    Raises:
        ConfigError: An option is unknown or of a wrong value.
        DataError: A folder is missing, or there is no image.
    """
    settings = SegmentationFolder(**options)
    root, files = list_files(data_root, settings)
    classes = read_classes(data_root) or ()
    survey, values = ImageSurvey(root), LabelValues()
    problems: defaultdict[str, Any] = defaultdict(dict)
    with progress_bar() as progress:
        task = progress.add_task("checking", total=len(files.pairs), note="")
        for image, label in files.pairs:
            name = relative_name(label, root)
            pixels = survey.read(image)
            try:
                labels = read_labels(label)
            except DataError as error:
                problems["unreadable_labels"][name] = without_path(error, label)
            else:
                values.add(name, labels)
                if pixels is not None:
                    for kind, file, text in _misfits(image, pixels.shape[:2], labels.shape):
                        problems[kind][relative_name(file or label, root)] = text
            progress.advance(task)
        for image in files.images_alone:
            survey.read(image)

    def names(paths: Sequence[Path]) -> tuple[str, ...]:
        return tuple(relative_name(path, root) for path in paths)

    return SegmentationReport(
        folder=str(root),
        options=options,
        facts=survey.facts(),
        left_out=names(files.left_out),
        label_files=len(files.pairs) + len(files.labels_alone),
        images_without_labels=names(files.images_alone),
        labels_without_image=names(files.labels_alone),
        same_name=names(files.same_name),
        **values.summary(
            settings.num_classes or len(classes), settings.ignore, settings.reduce_zero_label
        ),
        **problems,
    )


def list_files(
    data_root: str | os.PathLike[str], settings: SegmentationFolder
) -> tuple[Path, Files]:
    """The folder that has both others, and its images and label files.

    Raises:
        DataError: A folder or a list is missing, or there is no image.
    """
    root, chosen = part_of(data_root, settings.split)
    folders = {name: root / getattr(settings, name) for name in ("images", "labels")}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise DataError(
                f"{folder}: expected the folder of the {name}, found no such folder; check the "
                f"path, or name the folder with --data-option {name}=NAME"
            )
    images = NamedFiles(str(folders["images"]), settings.img_suffix)
    labels = NamedFiles(str(folders["labels"]), settings.seg_map_suffix)
    # Where both lie in one folder, a file is what the longer of its ends says.
    own = {path: n for path, n in images.names.items() if len(labels.names.get(path, n)) >= len(n)}
    theirs = {path: n for path, n in labels.names.items() if path not in own}
    if not own:
        ends = " *".join(images.suffixes)
        others = images.listing.left_out_text()
        raise DataError(
            f"{folders['images']}: expected images (*{ends}), found none; check img_suffix"
            f"{others and f' ({others})'}"
        )
    if chosen:
        paths = chosen.choose({relative_name(path, root): path for path in own}).values()
        own = {path: own[path] for path in paths}
        theirs = {path: n for path, n in theirs.items() if n in own.values()}
    by_name = [{name: path for path, name in reversed(side.items())} for side in (own, theirs)]
    first = {path for side in by_name for path in side.values()}
    paired = [name for name in dict.fromkeys(own.values()) if name in by_name[1]]
    used = {Path(path) for path in (*own, *theirs)}
    left_out = {*images.listing.left_out, *labels.listing.left_out} - used
    if chosen:
        left_out = set()  # the list says what is used
    return root, Files(
        pairs=[(Path(by_name[0][name]), Path(by_name[1][name])) for name in paired],
        images_alone=[Path(p) for name, p in by_name[0].items() if name not in by_name[1]][::-1],
        labels_alone=[Path(p) for name, p in by_name[1].items() if name not in by_name[0]][::-1],
        same_name=[Path(path) for path in (*own, *theirs) if path not in first],
        left_out=sorted(left_out),
    )


def _misfits(
    image: Path, image_size: tuple[int, ...], label_size: tuple[int, ...]
) -> Iterator[tuple[str, Path | None, Any]]:
    """Yield what is wrong with a pair: kind, the image if it is to be named, and why."""
    orientation = read_orientation(image)
    if label_size != image_size:
        sizes = [f"{width} x {height}" for height, width in (label_size, image_size)]
        stored = orientation > 4 and label_size == image_size[::-1]
        advice = "; they fit the pixels as stored: LoadImage(exif='ignore')" if stored else ""
        yield "other_size", None, f"{sizes[0]}, the image is {sizes[1]}{advice}"
    elif orientation != 1 and (orientation < 5 or image_size[0] == image_size[1]):
        yield "unclear_orientation", image, orientation


def report_text(report: SegmentationReport) -> str:
    """The report as text: a few lines, with a few files for each kind of problem."""
    total = max(1, sum(report.pixels))
    lines = [
        row("label files", f"{report.label_files}, {report.num_classes} classes"),
        row("ignored pixels", f"{100 * report.ignored:.2f} %"),
        row("class", "share of labelled pixels, suggested class weight"),
    ]
    for label, (pixels, weight) in enumerate(zip(report.pixels, report.class_weights, strict=True)):
        shown = "-" if weight is None else f"{weight:.2f}"
        lines.append(row(f"  {label}", f"{100 * pixels / total:8.4f} %  {shown:>8}"))
    return common_text(report, "segmentation", lines)
