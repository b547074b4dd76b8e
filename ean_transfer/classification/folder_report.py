"""The report of ``tools/dataset.py check classification``: all that is wrong with class folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ean_transfer.classification.image_folder import ClassFiles, class_files
from ean_transfer.data.folder_report import FolderReport, ImageSurvey, relative_name, row
from ean_transfer.data.folder_report import report_text as common_text
from ean_transfer.data.plain import part_of, read_classes
from ean_transfer.errors import DataError
from ean_transfer.io.checked import Checked
from ean_transfer.io.files import file_hash
from ean_transfer.io.image_files import IMAGE_SUFFIXES
from ean_transfer.io.progress import progress_bar


class ClassificationFolder(Checked):
    """A folder with one folder of images per class.

    Args:
        split: Folder within the data set's folder, e.g. ``"train"``; by default itself. Or a list
            of images, as of :class:`~ean_transfer.classification.image_folder.ImageFolder`.
        extensions: Ends of the images' names.
    """

    what = "classification"

    split: str = ""
    extensions: list[str] = list(IMAGE_SUFFIXES)


@dataclass(frozen=True)
class ClassificationReport(FolderReport):
    """The result of :func:`check_folder`. Files are named relative to the folder.

    Attributes:
        classes: Class -> number of images, in the order of the labels.
        class_weights: Suggested weight of each class in the loss: the mean number of images per
            class over its own; ``None`` for a class without images.
        classes_without_images: Folders.
        folders_without_name: Folders whose name is not in ``classes.txt``, if there is one.
        images_without_class: Images that lie in no class's folder.
        in_several_classes: Readable image file -> one with the same bytes in another class.
    """

    HEADINGS: ClassVar[Mapping[str, str]] = {
        "classes_without_images": "classes without images",
        "folders_without_name": "folders not in classes.txt",
        "images_without_class": "images without class",
        "unreadable_images": "unreadable images",
        "in_several_classes": "same image in two classes",
    }

    classes: Mapping[str, int]
    class_weights: Mapping[str, float | None]
    classes_without_images: tuple[str, ...] = ()
    folders_without_name: tuple[str, ...] = ()
    images_without_class: tuple[str, ...] = ()
    in_several_classes: Mapping[str, str] = field(default_factory=dict)


def check_folder(data_root: str | os.PathLike[str], **options: Any) -> ClassificationReport:
    """Read a folder of class folders and report every problem.

    Args:
        data_root: The folder.
        **options: See :class:`ClassificationFolder`.

    Raises:
        ConfigError: An option is unknown or of a wrong value.
        DataError: The folder is missing, or has no class folders with images.
    """
    root, files = list_files(data_root, ClassificationFolder(**options))
    survey = ImageSurvey(root)
    first_of: dict[str, tuple[str, str]] = {}  # hash of a file -> its class and path
    in_several = {}
    with progress_bar() as progress:
        number = len(files.listed.images)
        task = progress.add_task("checking", total=number, note="")
        for name, images in files.by_class.items():
            for image in images:
                progress.advance(task)
                if survey.read(root / image) is None:
                    continue
                other, path = first_of.setdefault(file_hash(root / image), (name, image))
                if other != name:
                    in_several[Path(image).as_posix()] = Path(path).as_posix()
    classes = {name: len(images) for name, images in files.by_class.items()}
    named = read_classes(data_root)
    mean = sum(classes.values()) / len(classes)
    return ClassificationReport(
        folder=str(root),
        options=options,
        facts=survey.facts(),
        left_out=tuple(relative_name(file, root) for file in files.listed.left_out),
        classes=classes,
        class_weights={name: round(mean / n, 4) if n else None for name, n in classes.items()},
        classes_without_images=tuple(name for name, n in classes.items() if not n),
        folders_without_name=tuple(name for name in classes if name not in (named or classes)),
        images_without_class=tuple(relative_name(file, root) for file in files.without_class),
        in_several_classes=in_several,
    )


def list_files(
    data_root: str | os.PathLike[str], settings: ClassificationFolder
) -> tuple[Path, ClassFiles]:
    """The folder with the classes, and its images.

    Raises:
        DataError: The folder is missing, or has no class folders with images.
    """
    root, chosen = part_of(data_root, settings.split)
    files = class_files(root, settings.extensions, chosen)
    if classes := read_classes(data_root):
        order = sorted(files.by_class, key=[*classes, *files.by_class].index)
        missing = {name: list[str]() for name in classes if name not in files.by_class}
        files = files._replace(by_class={name: files.by_class[name] for name in order} | missing)
    if not any(files.by_class.values()):
        problem = "no such folder" if not root.is_dir() else "no image in a class's folder"
        others = files.left_out_text()
        raise DataError(
            f"{root}: expected <class>/*{' or *'.join(settings.extensions)}, found {problem}; "
            f"check the path and --split{others and f' ({others})'}"
        )
    return root, files


def report_text(report: ClassificationReport) -> str:
    """The report as text: a few lines, with a few files for each kind of problem."""
    lines = [
        row("classes", str(len(report.classes))),
        row("class", "images, suggested class weight"),
    ]
    for name, number in report.classes.items():
        weight = report.class_weights[name]
        shown = "-" if weight is None else f"{weight:.2f}"
        lines.append(row(f"  {name}", f"{number:8}  {shown:>8}"))
    return common_text(report, "classification", lines)
