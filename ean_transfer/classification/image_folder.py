"""Small images in folders, kept decoded in memory.

For users who have a data set as image files and not in its original archive. Decoding a small image
takes as long as augmenting it. With the images in memory that time is spent once and not in every
epoch.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import mmcv
import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmpretrain.datasets import CustomDataset
from mmpretrain.datasets.custom import find_folders, get_samples

from ean_transfer.errors import ConfigError, DataError

Image = npt.NDArray[np.uint8]  # (H, W, 3), BGR

# Cached images by path, for data sets of the same folder: a training part and the part held out of
# it each hold an ImageFolder of all images, which would otherwise be decoded and kept twice. The
# references are weak, so the pixels are freed with the last data set that holds them.
_in_memory: WeakValueDictionary[str, Image] = WeakValueDictionary()
_SECONDS_BETWEEN_LOGS = 5.0


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Images in one folder per class: ``data_root/split/<class>/*.jpg`` (or png, bmp, ppm ...).

    As mmpretrain's CIFAR classes do, it hands the pipeline the image itself. The pipeline has no
    ``LoadImageFromFile``, and is the same with and without ``cache`` and for both sources.

    Args:
        data_root: The data set's folder.
        split: The folder inside it, e.g. ``"train"``; ``""`` if the classes lie in ``data_root``.
        cache: Keep decoded images in memory, for data sets that fit (3 kB per image of 32 x 32,
            150 MB for CIFAR). Worker processes forked by a data loader share them.
        **kwargs: Arguments of mmpretrain's ``CustomDataset``: ``pipeline``, ``indices``,
            ``test_mode``, ...; ``classes`` are the folders' names in the order of their labels, by
            default alphabetical: give them to be certain that two splits agree.

    Raises:
        ConfigError: There is an annotation file, which would not be read.
        DataError: The folder, a class or a class's images are missing, or an image cannot be
            decoded (at the start with ``cache``, else when the image is used).
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
        super().__init__(data_root=str(Path(data_root).expanduser()), data_prefix=split, **kwargs)

    def _join_prefix(self) -> None:
        # mmengine joins nothing to an empty prefix, which would leave no folder at all.
        self.data_prefix["img_path"] = os.path.join(self.data_root, self.data_prefix["img_path"])

    def load_data_list(self) -> list[dict[str, Any]]:
        """``{img_path, gt_label}`` of every image, class by class."""
        folder = self.img_prefix
        names = find_folders(folder)[0] if Path(folder).is_dir() else []
        classes = list(self.CLASSES or names)
        label_of = {name: label for label, name in enumerate(classes)}
        problem = ""
        if not names:
            problem = "no class folders" if Path(folder).is_dir() else "no such folder"
        elif differing := sorted(set(classes) ^ set(names)):
            problem = f"folders that differ from the classes in {', '.join(differing)}"
        else:
            samples, empty = get_samples(folder, label_of, is_valid_file=self.is_valid_file)
            if empty:
                problem = f"no images in {', '.join(sorted(empty))}"
        if problem:
            expected = f"{folder}/<class>/*{' or *'.join(sorted(self.extensions))}"
            raise DataError(f"expected {expected}, found {problem}: unpack them or set data_root")
        self._metainfo["classes"] = tuple(classes)
        return [
            {"img_path": os.path.join(folder, name), "gt_label": label} for name, label in samples
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
                self._log(f"decoded {len(self._images):,} of {len(paths):,} images")
        megabytes = sum(image.nbytes for image in self._images.values()) / 1e6
        seconds = time.monotonic() - start
        self._log(f"{len(paths):,} images in memory ({megabytes:.0f} MB, {seconds:.1f} s)")

    def _log(self, message: str) -> None:
        print_log(f"{self.img_prefix}: {message}", logger="current")


def _decode(path: str) -> Image:
    image = mmcv.imread(path)
    if image is None:
        raise DataError(f"{path}: cannot be decoded as an image; replace or remove the file")
    return image
