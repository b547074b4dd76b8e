"""Loading labels for segmentation pipelines, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmcv.transforms import TRANSFORMS
from mmseg.datasets.transforms import LoadAnnotations

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_labels

IGNORE = 255
"""The label of a pixel without a class, which mmseg's losses and metrics leave out."""


@TRANSFORMS.register_module()
class CheckedAnnotations(LoadAnnotations):
    """Read an image's labels, and make sure that they are its own and of the data set's classes.

    mmseg's own takes any: labels of another size are trained on, stretched or shifted against their
    image; values outside the classes fail in the loss, which knows no file, and vanish in the
    metric; values above 255 become other classes.

    Args:
        num_classes: The data set's number of classes; ``None``: as its samples say, which those of
            :class:`CheckedSegDataset` do.
    """

    def __init__(self, num_classes: int | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        """Add ``gt_seg_map`` (H, W) uint8: 0 to ``num_classes - 1``, or 255, mmseg's ignored label.

        Before or after a resizing of the image: compared is the ``ori_shape``.

        Raises:
            DataError: there is no label file, it is unreadable or truncated, it has another size
                than the image, or a value that is no label.
            ConfigError: the number of classes is not known.
        """
        image, path = results.get("img_path", "an image"), results.get("seg_map_path")
        if path is None:
            raise DataError(
                f"{image}: expected labels, found a data set without; give its data_prefix a "
                f"seg_map_path, or leave {type(self).__name__} out of the pipeline"
            )
        if not Path(path).is_file():
            raise no_labels(path, results)
        values = read_labels(path)
        height, width = results.get("ori_shape", values.shape)[:2]
        if values.shape != (height, width):
            turned = " (or one of the two is turned)" if values.shape == (width, height) else ""
            raise DataError(
                f"{path}: expected {width} x {height} pixels as in {image}, found "
                f"{values.shape[1]} x {values.shape[0]}; give the image its own labels{turned}"
            )
        num_classes = self.num_classes or results.get("num_classes")
        if not num_classes:
            raise ConfigError(
                f"{type(self).__name__}: expected the number of classes, found none; pass "
                "num_classes, or give the data set's metainfo its classes"
            )
        table = label_table(
            num_classes, results.get("reduce_zero_label", False), results.get("label_map")
        )
        labels = cv2.LUT(values.astype(np.uint8), table)
        wrong = (labels < 0) | (values < 0) | (values > IGNORE)
        if wrong.any():
            expected = ranges_of(np.flatnonzero(table >= 0))
            raise DataError(
                f"{path}: expected labels {expected} ({num_classes} classes), found "
                f"{ranges_of(np.unique(values[wrong]))} in {np.count_nonzero(wrong)} of {wrong.size} "
                "pixels; correct the file, or check the data set's classes and reduce_zero_label"
            )
        results["gt_seg_map"] = labels.astype(np.uint8)
        results["seg_fields"].append("gt_seg_map")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_classes={self.num_classes})"


def no_labels(path: str, info: Mapping[str, Any], more: str = "") -> DataError:
    return DataError(
        f"{path}: no such file, expected the labels of {info.get('img_path', 'an image')}{more}; "
        "add the missing, remove the image, or check seg_map_suffix"
    )


def label_table(
    num_classes: int, reduce_zero_label: bool, label_map: Mapping[int, int] | None
) -> npt.NDArray[np.int16]:
    """A file's value, 0-255 -> the label in training, -1 where it has none; by mmseg's rules."""
    reduced = np.arange(IGNORE + 1, dtype=np.int16)
    if reduce_zero_label:
        reduced[1:IGNORE] -= 1
        reduced[0] = IGNORE
    table = reduced.copy()
    for old, new in (label_map or {}).items():
        table[reduced == old] = new
    table[(table >= num_classes) & (table != IGNORE)] = -1
    return table


def ranges_of(values: npt.NDArray[np.integer], shown: int = 5) -> str:
    """Rising whole numbers, one at least, as ``"0-11, 255"``."""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join(texts[:shown]) + (", ..." if len(texts) > shown else "")
