"""mmseg's data sets, checked for missing and misfitting files before anything is trained.

:class:`CheckedSegDataset` takes the place of mmseg's ``BaseSegDataset``. A checked version of
another data set of mmseg is made by deriving from both::

    class CheckedLoveDADataset(CheckedSegDataset, LoveDADataset):
        pass

All files are local: mmengine's remote storage is not supported.
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
from ean_transfer.segmentation.loading import CheckedAnnotations


@DATASETS.register_module()
class CheckedSegDataset(BaseSegDataset):
    """mmseg's data set of folders or lists, whose files are checked when it is built.

    Every listed image must be there, every image must have its label file, and the labels of the
    first image must be of the image's size and of the data set's classes. Label files without an
    image are only logged: some data sets keep other pictures beside their labels.

    Args:
        **kwargs: Arguments of ``BaseSegDataset``: ``data_root``, ``data_prefix``, ``ann_file``,
            ``img_suffix``, ``seg_map_suffix``, ``metainfo=dict(classes=...)``, ... Without
            ``seg_map_path`` in ``data_prefix`` the data set has no labels.

    Raises:
        DataError: A folder, a list, an image or a label file is missing, or the first image's
            labels do not fit it.
        ConfigError: The metainfo has no classes.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """mmseg's ``{img_path, seg_map_path, label_map, ...}``, plus ``num_classes``."""
        for key, path in {**self.data_prefix, "ann_file": self.ann_file}.items():
            if path and not os.path.exists(path):
                expected = f"expected the data set's {key}; unpack it there, or check data_root"
                raise DataError(f"{path}: no such file or folder, {expected}")
        infos: list[dict[str, Any]] = super().load_data_list()
        if not infos:
            where = self.ann_file or self.data_prefix["img_path"]
            raise DataError(
                f"{where}: expected images (*{self.img_suffix}), found none; check img_suffix"
            )
        require_files(infos)
        num_classes = len(self.metainfo.get("classes", ()))
        for info in infos:
            info["num_classes"] = num_classes  # a pipeline's step knows the sample alone
        first = infos[0]
        # Reading all labels would take minutes; the first one shows whether the version is right.
        if "seg_map_path" in first:
            self._log_surplus_labels(infos)
            size = read_image_size(first["img_path"])
            CheckedAnnotations().transform({**first, "ori_shape": size, "seg_fields": []})
        return infos

    def _log_surplus_labels(self, infos: list[dict[str, Any]]) -> None:
        if self.ann_file:
            return  # a list is a choice, so labels of other images are expected
        folder = Path(self.data_prefix["seg_map_path"])
        used = {Path(info["seg_map_path"]) for info in infos}
        # Like mmseg, leave out hidden files.
        surplus = sorted(set(folder.rglob(f"[!.]*{self.seg_map_suffix}")) - used)
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
    """Refuse samples whose image or label file is missing.

    Args:
        infos: Samples as ``load_data_list`` gives them, with ``img_path`` and, if they are
            labelled, ``seg_map_path``.

    Raises:
        DataError: A file is missing; the first one is named.
    """
    for key, what in (("img_path", "the image"), ("seg_map_path", "the labels of")):
        missing = [info for info in infos if key in info and not os.path.isfile(info[key])]
        if missing:
            file, image = missing[0][key], missing[0]["img_path"]
            raise DataError(
                f"{file}: no such file, expected {what} {image}{_and_more(missing)}; add the file, "
                "take the image out, or check img_suffix and seg_map_suffix"
            )


def _and_more(things: Sequence[Any]) -> str:
    return f" (and {len(things) - 1} more)" if len(things) > 1 else ""
