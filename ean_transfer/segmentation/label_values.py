"""What the label files of a folder hold: pixels of each class, wrong values, class weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ean_transfer.segmentation.loading import IGNORE, label_ranges, label_table

_VALUES = IGNORE + 1  # that a label may have: 0-255


class LabelValues:
    """The values of label files, file by file: what they stand for is known at the end."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._pixels: list[npt.NDArray[np.int64]] = []
        self._outside: list[npt.NDArray[np.integer]] = []  # values beyond 0-255, pixel by pixel

    def add(self, name: str, labels: npt.NDArray[np.integer]) -> None:
        """Add the labels of a file, of any shape."""
        within = labels[(labels >= 0) & (labels < _VALUES)]
        self._names.append(name)
        self._pixels.append(np.bincount(within.ravel().astype(np.uint8), minlength=_VALUES))
        self._outside.append(labels[(labels < 0) | (labels >= _VALUES)])

    def summary(self, num_classes: int, ignore: int, reduce_zero_label: bool) -> dict[str, Any]:
        """Fields of :class:`~ean_transfer.segmentation.folder_report.SegmentationReport`.

        Args:
            num_classes: Number of classes; 0 for one more than the highest label.
            ignore: Value of pixels without a class, beside 255.
            reduce_zero_label: Whether 0 stands for no class and 1 for the first.
        """
        files = np.stack(self._pixels) if self._pixels else np.zeros((0, _VALUES), np.int64)
        label_map = {ignore - reduce_zero_label: IGNORE}  # which counts as training does
        table = label_table(_VALUES - 1, reduce_zero_label, label_map)
        occurring = table[files.any(axis=0)]
        highest = int(occurring[occurring != IGNORE].max(initial=-1))
        number = num_classes or max(1, highest + 1)
        table = label_table(number, reduce_zero_label, label_map)
        classes = np.zeros((len(files), number), np.int64)  # pixels of each class in each file
        for value in np.flatnonzero((table >= 0) & (table < number)):
            classes[:, table[value]] += files[:, value]
        ignored, per_class = files[:, table == IGNORE].sum(axis=1), classes.sum(axis=0)
        other_values = {}
        for name, pixels, outside in zip(self._names, files, self._outside, strict=True):
            wrong = np.flatnonzero((pixels > 0) & (table < 0))
            if count := int(pixels[wrong].sum()) + outside.size:
                values = label_ranges(np.union1d(wrong, np.unique(outside)))
                other_values[name] = f"{values} in {count} pixels"
        nothing = (ignored > 0) & (ignored == files.sum(axis=1))
        share = float(ignored.sum() / max(1, files.sum()))
        present = np.flatnonzero(per_class)
        single = [
            f"label {label}, beside {100 * share:.1f} % of ignored pixels ({ignore} or "
            f"{IGNORE}); number the classes 0, 1, ..."
            for label in present
        ]
        absent = [str(label) for label in np.flatnonzero(per_class == 0)] if len(files) else []
        return {
            "num_classes": number,
            "pixels": tuple(per_class.tolist()),
            "ignored": share,
            "class_weights": class_weights(classes, ignored),
            "other_values": other_values,
            "all_ignored": tuple(np.array(self._names)[nothing].tolist()) if len(files) else (),
            "absent_classes": tuple(absent),
            "single_class": tuple(single) if len(single) == 1 else (),
        }


def class_weights(
    classes: npt.NDArray[np.int64], ignored: npt.NDArray[np.int64]
) -> tuple[float | None, ...]:
    """Weights by median frequency balancing (Eigen and Fergus, arXiv 1411.4734).

    Args:
        classes: (files, classes) pixels of each class in each file.
        ignored: (files,) ignored pixels, which belong to an image as well.
    """
    sizes = classes.sum(axis=1) + ignored
    shown_on = ((classes > 0) * sizes[:, None]).sum(axis=0)
    present = shown_on > 0
    frequency = classes.sum(axis=0)[present] / shown_on[present]
    weights = iter((np.median(frequency) / frequency).tolist() if present.any() else [])
    return tuple(round(next(weights), 4) if is_present else None for is_present in present)
