"""Small images in folders, kept decoded in memory.

For users who have a data set as image files and not in its original archive. Decoding a small image
takes as long as augmenting it. With the images in memory that time is spent once and not in every
epoch.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmpretrain.datasets import CustomDataset

from ean_transfer.data.plain import (
    LISTS,
    SplitList,
    by_names,
    part_of,
    read_classes,
    without_plain_files,
)
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.files import expanded
from ean_transfer.io.image_files import IMAGE_SUFFIXES, ImageFiles, list_images
from ean_transfer.io.images import read_image

Image = npt.NDArray[np.uint8]  # (H, W, 3), BGR

# Cached images by path, for data sets of the same folder: a training part and the part held out of
# it each hold an ImageFolder of all images, which would otherwise be decoded and kept twice. The
# references are weak, so the pixels are freed with the last data set that holds them.
_in_memory: WeakValueDictionary[str, Image] = WeakValueDictionary()
_SECONDS_BETWEEN_LOGS = 5.0


class ClassFiles(NamedTuple):
    """The images of a folder that has one folder per class.

    Attributes:
        listed: All images and what was left out.
        by_class: Class -> paths of its images in the folder, sorted. A class may have none.
        without_class: Images that lie in no class's folder.
    """

    listed: ImageFiles
    by_class: dict[str, list[str]]
    without_class: list[Path]

    def left_out_text(self) -> str:
        """One line on the files that are not used; empty if all are."""
        text = self.listed.left_out_text()
        if not self.without_class:
            return text
        first, number = self.without_class[0], len(self.without_class)
        loose = f"{first}: in no class's folder, left out ({number} such images)"
        return f"{loose}; {text}" if text else loose


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Images in one folder per class: ``data_root/split/<class>/*.jpg`` (or png, bmp, ppm ...).

    Suffixes may be in capitals. Hidden files and folders hold no images and no class. What is left
    out is counted in the log.

    As mmpretrain's CIFAR classes do, it hands the pipeline the image itself. The pipeline has no
    ``LoadImageFromFile``, and is the same with and without ``cache`` and for both sources.

    Args:
        data_root: The data set's folder.
        split: The folder inside it, e.g. ``"train"``; ``""`` if the classes lie in ``data_root``.
            Or a list of images in ``data_root/<class>/``, such as ``"splits/train.txt"``; see
            :func:`~ean_transfer.data.plain.part_of`.
        cache: Keep decoded images in memory, for data sets that fit (3 kB per image of 32 x 32,
            150 MB for CIFAR). Worker processes forked by a data loader share them.
        **kwargs: Arguments of mmpretrain's ``CustomDataset``: ``pipeline``, ``indices``,
            ``test_mode``, ...; ``classes`` are the folders' names in the order of their labels, by
            default that of ``data_root/classes.txt`` or alphabetical: give them to be certain that
            two splits agree. Each has a folder, and each folder is one; with a list of images, only
            the folders of its images count.

    Raises:
        ConfigError: There is an annotation file, which would not be read.
        DataError: The folder, a class or a class's images are missing, or an image cannot be
            decoded in full or has more than 8 bits per channel (at the start with ``cache``, else
            when the image is used).
    """

    def __init__(
        self,
        data_root: str | os.PathLike[str],
        split: str = "",
        cache: bool = False,
        **kwargs: Any,
    ) -> None:
        if unread := {"ann_file", "with_label", "data_prefix"} & kwargs.keys():
            raise ConfigError(f"ImageFolder takes no {min(unread)}: use mmpretrain's CustomDataset")
        self.cache = cache
        self._images: dict[str, Image] = {}
        root = str(expanded(data_root))
        self._chosen = part_of(root, split).chosen
        kwargs = {"extensions": IMAGE_SUFFIXES, "classes": read_classes(root), **kwargs}
        super().__init__(data_root=root, data_prefix="" if self._chosen else split, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """``{img_path, gt_label}`` of every image, class by class or in the order of the list."""
        folder = self.img_prefix
        files = class_files(folder, sorted(self.extensions), self._chosen)
        names = [*files.by_class]
        classes = list(self.CLASSES or names)
        # A list chooses images: its folder may have others, and need not have one of each class.
        used = {name for name in names if files.by_class[name]}
        differing = sorted(used - {*classes} if self._chosen else {*classes} ^ {*names})
        problem = ""
        if not names:
            problem = "no class folders" if Path(folder).is_dir() else "no such folder"
        elif differing:
            problem = f"folders that differ from the classes in {', '.join(differing)}"
        elif not self._chosen and (empty := [name for name in names if name not in used]):
            problem = f"no images in {', '.join(empty)}"
        others = files.left_out_text()
        if problem:
            expected = f"{folder}/<class>/*{' or *'.join(sorted(self.extensions))}"
            raise DataError(
                f"expected {expected}, found {problem}: unpack them or set data_root"
                f"{others and f' ({others})'}"
            )
        if others:
            self._log(others, logging.WARNING)
        self._metainfo["classes"] = tuple(classes)
        labels = {
            Path(file).as_posix(): classes.index(name)
            for name, its_files in files.by_class.items()
            for file in its_files
        }
        ordered = list(labels)
        if self._chosen:  # those that are in no class's folder are said above
            ordered = list(by_names(self._chosen.lines, {file: file for file in labels}).values())
        return [
            {"img_path": os.path.join(folder, file), "gt_label": labels[file]} for file in ordered
        ]

    def full_init(self) -> None:
        """Find the images and, with ``cache``, decode them all."""
        if self._fully_initialized:
            return
        super().full_init()
        if self.cache:
            self._fill_cache()

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on ``{img, img_path, gt_label, img_shape, ori_shape, sample_idx}``."""
        info = self.get_data_info(idx)
        image = self._images.get(info["img_path"])
        # A copy: a transform that writes into its image must not change it for the next epoch.
        info["img"] = _decode(info["img_path"]) if image is None else image.copy()
        info["img_shape"] = info["ori_shape"] = info["img"].shape[:2]
        return self.pipeline(info)

    def _fill_cache(self) -> None:
        start = logged = time.monotonic()
        paths = [self.get_data_info(index)["img_path"] for index in range(len(self))]
        for path in paths:
            image = _in_memory.get(path)
            if image is None:
                image = _in_memory[path] = _decode(path)
            self._images[path] = image
            if time.monotonic() - logged > _SECONDS_BETWEEN_LOGS:
                logged = time.monotonic()
                self._log(
                    f"{self.img_prefix}: decoded {len(self._images):,} of {len(paths):,} images"
                )
        megabytes = sum(image.nbytes for image in self._images.values()) / 1e6
        seconds = time.monotonic() - start
        self._log(
            f"{self.img_prefix}: {len(paths):,} images in memory "
            f"({megabytes:.0f} MB, {seconds:.1f} s)"
        )

    def _log(self, message: str, level: int = logging.INFO) -> None:
        print_log(message, logger="current", level=level)


def class_files(
    folder: str | os.PathLike[str], suffixes: Sequence[str], chosen: SplitList | None = None
) -> ClassFiles:
    """List the images of a folder by the class folders in it, in the order of their names.

    Args:
        folder: The folder; a missing one has no classes.
        suffixes: Ends of the images' names.
        chosen: A list of the images to take; all others are then not mentioned.

    Raises:
        DataError: The list names an image that is not there.
    """
    root = Path(folder)
    listed = without_plain_files(list_images(root, suffixes, recursive=True))
    if chosen:
        by_path = {file.relative_to(root).as_posix(): file for file in listed.images}
        listed = listed._replace(images=[*chosen.choose(by_path).values()], left_out=[])
    # By name: paths of Windows are in another order, and would give classes other numbers there.
    parts = sorted(root.iterdir(), key=lambda path: path.name) if root.is_dir() else []
    classes = [p.name for p in parts if p.is_dir() and not p.name.startswith((".", "__MACOSX"))]
    by_class: dict[str, list[str]] = {name: [] for name in classes}
    without_class = []
    for file in listed.images:
        name = file.relative_to(root).parts[0]
        if name in by_class:
            by_class[name].append(str(file.relative_to(root)))
        else:
            without_class.append(file)
    if not by_class.get(LISTS):  # a folder of lists
        classes = [name for name in classes if name != LISTS]
    return ClassFiles(listed, {name: sorted(by_class[name]) for name in classes}, without_class)


def _decode(path: str) -> Image:
    return read_image(path)
