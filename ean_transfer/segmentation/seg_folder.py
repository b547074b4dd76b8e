"""Your own segmentation data: a folder of images and a folder of label files of the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from ean_transfer.data.plain import CLASSES, part_of, read_classes
from ean_transfer.errors import ConfigError
from ean_transfer.io.image_files import IMAGE_SUFFIXES
from ean_transfer.segmentation.datasets import CheckedSegDataset
from ean_transfer.segmentation.loading import IGNORE
from ean_transfer.segmentation.pairs import NamedFiles


@DATASETS.register_module()
class SegFolder(CheckedSegDataset):
    """Images and label files of the same names, and ``classes.txt`` with one class per line::

        data_root/images/a.JPG       data_root/labels/a.png
        data_root/images/x/b.tif     data_root/labels/x/b.png
        data_root/classes.txt        the first line names label 0

    ``ean dataset convert segmentation`` writes the label files from other formats.

    Args:
        data_root: The data set's folder.
        split: A folder within ``data_root`` that has both others, or a list of images such as
            ``"splits/train.txt"`` with lines such as ``images/a.JPG``; see
            :func:`~ean_transfer.data.plain.part_of`.
        images: Folder of the images; ``""`` if it is ``data_root`` itself.
        labels: Folder of the label files.
        ignore: Value of pixels without a class, beside 255.
        metainfo: ``dict(classes=(...))``, if there is no ``classes.txt``, or in place of it.
        **kwargs: Arguments of :class:`CheckedSegDataset`: ``pipeline``, ``seg_map_suffix``, ...

    Raises:
        ConfigError: The classes are named nowhere.
        DataError: As for :class:`CheckedSegDataset`, or a list is missing or names other files.
    """

    def __init__(
        self,
        data_root: str | os.PathLike[str],
        split: str = "",
        images: str = "images",
        labels: str = "labels",
        ignore: int = IGNORE,
        metainfo: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._ignore = ignore
        folder, self._chosen = part_of(data_root, split)
        info = dict(metainfo or {})
        info.setdefault("classes", read_classes(data_root))
        if not info["classes"]:
            raise ConfigError(
                f"{Path(data_root, CLASSES)}: expected the names of the classes, one per line, or "
                "metainfo=dict(classes=...), found neither"
            )
        super().__init__(
            data_root=str(folder),
            data_prefix={"img_path": images, "seg_map_path": labels},
            metainfo=info,
            **{"img_suffix": IMAGE_SUFFIXES, **kwargs},
        )

    def _pairs(self) -> list[dict[str, Any]]:
        if self._ignore != IGNORE:
            self.label_map = {self._ignore - self.reduce_zero_label: IGNORE}
        return super()._pairs()

    def _listed(self, images: NamedFiles) -> Sequence[str] | None:
        if self._chosen is None:
            return super()._listed(images)
        by_path = {
            Path(file).relative_to(str(self.data_root)).as_posix(): name
            for file, name in images.names.items()
        }
        return list(self._chosen.choose(by_path).values())
