"""Bad input found where it is read, and named: images, labels, and one without the other.

:class:`LoadImage` and :class:`CheckedAnnotations` stand in any pipeline in the place of mmcv's
``LoadImageFromFile`` and mmseg's ``LoadAnnotations``. :class:`CheckedSegDataset` stands in the
place of mmseg's ``BaseSegDataset``; of another data set of mmseg it makes a checked one with::

    class CheckedLoveDADataset(CheckedSegDataset, LoveDADataset):
        pass

Files are local ones; mmengine's remote backends are not read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmseg.datasets import ADE20KDataset, BaseSegDataset, CityscapesDataset, PascalVOCDataset

from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image_size
from ean_transfer.segmentation.loading import (
    CheckedAnnotations,
    no_labels,
)


@DATASETS.register_module()
class CheckedSegDataset(BaseSegDataset):
    """mmseg's data set of folders or lists, found complete before anything is trained.

    Every image has its label file, every listed image is there, and the first label file holds
    labels of the classes, on an image of its size. Label files without an image are only logged:
    they may be pictures of the others.

    Args:
        **kwargs: Of ``BaseSegDataset``: ``data_root``, ``data_prefix``, ``ann_file``,
            ``img_suffix``, ``seg_map_suffix``, ``metainfo=dict(classes=...)``, ...; without
            ``seg_map_path`` in ``data_prefix`` it is a data set without labels.

    Raises:
        DataError: A folder, a list, an image or a label file is missing, or the first does not fit.
        ConfigError: The metainfo has no classes.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """mmseg's ``{img_path, seg_map_path, label_map, ...}``, and ``num_classes`` with them."""
        for key, folder in self.data_prefix.items():
            if folder and not os.path.isdir(folder):
                raise DataError(
                    f"{folder}: no such folder, expected the data set's {key}; unpack the data "
                    "there, or check data_root"
                )
        if self.ann_file and not os.path.exists(self.ann_file):
            raise DataError(f"{self.ann_file}: no such file, expected the data set's list of names")
        infos: list[dict[str, Any]] = super().load_data_list()
        if not infos:
            raise DataError(
                f"{self.ann_file or self.data_prefix['img_path']}: found no images (*"
                f"{self.img_suffix}); check data_root and img_suffix"
            )
        require_files(infos)
        num_classes = len(self.metainfo.get("classes", ()))
        for info in infos:
            info["num_classes"] = num_classes
        first = infos[0]
        if "seg_map_path" in first:
            self._log_surplus_labels(infos)
            size = read_image_size(first["img_path"])
            CheckedAnnotations().transform({**first, "ori_shape": size, "seg_fields": []})
        return infos

    def _log_surplus_labels(self, infos: list[dict[str, Any]]) -> None:
        if self.ann_file:
            return  # a list chooses
        folder = Path(self.data_prefix["seg_map_path"])
        used = {Path(info["seg_map_path"]) for info in infos}
        found = folder.rglob(f"[!.]*{self.seg_map_suffix}")  # mmseg lists no hidden files either
        surplus = sorted(set(found) - used)
        if surplus:
            print_log(
                f"{surplus[0]}{_and_more(surplus)}: left out, there is no image (*"
                f"{self.img_suffix}) of that name in {self.data_prefix['img_path']}",
                logger="current",
                level=logging.WARNING,
            )


@DATASETS.register_module()
class CheckedADE20KDataset(CheckedSegDataset, ADE20KDataset):
    """mmseg's ``ADE20KDataset``, checked."""


@DATASETS.register_module()
class CheckedCityscapesDataset(CheckedSegDataset, CityscapesDataset):
    """mmseg's ``CityscapesDataset``, checked."""


@DATASETS.register_module()
class CheckedPascalVOCDataset(CheckedSegDataset, PascalVOCDataset):
    """mmseg's ``PascalVOCDataset``, checked."""


def require_files(infos: Sequence[Mapping[str, Any]]) -> None:
    """Make sure that the images and label files of a data set's samples are there.

    Args:
        infos: What a data set's ``load_data_list`` gives, with ``img_path`` and ``seg_map_path``;
            a sample without ``seg_map_path`` is one without labels.

    Raises:
        DataError: a file is missing; the first is named.
    """
    images = [info["img_path"] for info in infos if not os.path.isfile(info["img_path"])]
    if images:
        raise DataError(
            f"{images[0]}: no such file, expected an image{_and_more(images)}; add the missing or "
            "take them off the list"
        )
    labelled = (info for info in infos if "seg_map_path" in info)
    unlabelled = [info for info in labelled if not os.path.isfile(info["seg_map_path"])]
    if unlabelled:
        raise no_labels(unlabelled[0]["seg_map_path"], unlabelled[0], _and_more(unlabelled))


def _and_more(found: Sequence[Any]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""
