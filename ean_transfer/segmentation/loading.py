"""Reading label files in segmentation pipelines, and refusing those that do not fit their image."""

from __future__ import annotations

from collections.abc import Mapping
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
    """mmseg's ``LoadAnnotations`` for label files that may be wrong.

    mmseg accepts any label file: labels of another size are trained on, stretched or shifted
    against their image; values outside the classes fail in the loss, which does not know the file,
    and disappear in the metric; values above 255 turn into other classes.

    Args:
        num_classes: Number of classes; by default the one that the samples carry, as those of
            :class:`~ean_transfer.segmentation.datasets.CheckedSegDataset` do.
    """

    def __init__(self, num_classes: int | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        """Add ``gt_seg_map`` (H, W) uint8: labels from 0 to ``num_classes - 1``, or 255 (ignored).

        Raises:
            DataError: The label file is missing, unreadable or truncated, has another size than the
                image, or has values that are no labels.
            ConfigError: The data set has no labels, or the number of classes is unknown.
        """
        path = results.get("seg_map_path")
        num_classes = self.num_classes or results.get("num_classes")
        if not (path and num_classes):
            image = results.get("img_path", path)
            needed = "metainfo=dict(classes=...)" if path else "data_prefix=dict(seg_map_path=...)"
            raise ConfigError(f"{image}: expected a data set with labels and {needed}, found none")
        values = read_labels(path)
        table = label_table(
            num_classes, results.get("reduce_zero_label", False), results.get("label_map")
        )
        labels = cv2.LUT(values.astype(np.uint8), table)
        # Not the image's present size: the labels may be loaded after it was resized.
        size = results.get("ori_shape", values.shape)[:2]
        if problem := _size_problem(values, size) or _value_problem(values, labels, table):
            raise DataError(f"{path}: {problem}")
        results["gt_seg_map"] = labels.astype(np.uint8)
        results["seg_fields"].append("gt_seg_map")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_classes={self.num_classes})"


def _size_problem(values: npt.NDArray[np.integer], size: tuple[int, int]) -> str | None:
    if values.shape == size:
        return None
    turned = ", or turn one of the two, e.g. by LoadImage(exif='ignore')"
    turned = turned if values.shape == size[::-1] else ""
    return (
        f"expected {size[1]} x {size[0]} pixels as in the image, found {values.shape[1]} x "
        f"{values.shape[0]}; give the image its own labels{turned}"
    )


def _value_problem(
    values: npt.NDArray[np.integer], labels: npt.NDArray[Any], table: npt.NDArray[np.int16]
) -> str | None:
    # The table was looked up by the lowest 8 bits, so other values must be found by themselves.
    wrong = (labels < 0) | (values < 0) | (values > IGNORE)
    if not wrong.any():
        return None
    return (
        f"expected labels {label_ranges(np.flatnonzero(table >= 0))}, found "
        f"{label_ranges(np.unique(values[wrong]))} in {np.count_nonzero(wrong)} of {wrong.size} "
        "pixels; correct the file, or check the data set's classes and reduce_zero_label"
    )


def label_table(
    num_classes: int, reduce_zero_label: bool, label_map: Mapping[int, int] | None
) -> npt.NDArray[np.int16]:
    """The label in training of each value 0-255 in a file, by mmseg's rules; -1 where none is."""
    reduced = np.arange(IGNORE + 1, dtype=np.int16)
    if reduce_zero_label:
        reduced[1:IGNORE] -= 1
        reduced[0] = IGNORE
    table = reduced.copy()
    for old, new in (label_map or {}).items():
        table[reduced == old] = new
    table[(table >= num_classes) & (table != IGNORE)] = -1
    return table


def label_ranges(values: npt.NDArray[np.integer], shown: int = 5) -> str:
    """Rising whole numbers, at least one, as ``"0-11, 255"``."""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join(texts[:shown]) + (", ..." if len(texts) > shown else "")
