"""What a training set's label files hold, looked at once before the first iteration.

Masks of 0 and 255, the usual export of two classes, train without any error: 255 is ignored, and
what remains is of one class.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log

from ean_transfer.errors import DataError
from ean_transfer.io.images import read_labels
from ean_transfer.segmentation.loading import IGNORE, CheckedAnnotations, label_table
from ean_transfer.visualization.sheet import evenly_spread

READ_AT_FIRST = 1000  # files; 2 to 15 seconds by their size

Histogram = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelSurvey:
    """Pixels of each class in some label files, or in all of them.

    Attributes:
        classes: Name of each class.
        pixels: Pixels of each label in training, 0-255; 255 is the ignored one.
        files: Number of label files that were read.
        total: Number of label files of the data set.
        all_ignored: Label files whose pixels are all ignored.
    """

    classes: tuple[str, ...]
    pixels: Histogram
    files: int
    total: int
    all_ignored: tuple[str, ...]

    def __add__(self, other: LabelSurvey) -> LabelSurvey:
        return LabelSurvey(
            self.classes,
            self.pixels + other.pixels,
            self.files + other.files,
            self.total + other.total,
            self.all_ignored + other.all_ignored,
        )

    @property
    def absent(self) -> list[str]:
        """Classes that occur in no file."""
        return [name for label, name in enumerate(self.classes) if not self.pixels[label]]

    @property
    def ignored(self) -> float:
        """Share of the ignored pixels."""
        return float(self.pixels[IGNORE] / max(1, self.pixels.sum()))

    def judge(self) -> None:
        """Log classes that occur nowhere, and images without any labelled pixel.

        Raises:
            DataError: Some pixels are ignored, and all others are of one class.
        """
        number = f"{self.files:,}" + (f" (of {self.total:,})" * (self.files < self.total))
        absent = ", ".join(self.absent[:5]) + ", ..." * (len(self.absent) > 5)
        missing = (
            f"{absent} in none of {number} label files, where {100 * self.ignored:.1f} % of the "
            f"pixels are ignored (label {IGNORE}, or one that the data set leaves out)"
        )
        if len(self.classes) - len(self.absent) < 2 <= len(self.classes) and self.ignored:
            raise DataError(
                f"expected training labels of at least two classes, found {missing}; save the "
                "pixels of each class with its number, 0, 1, ..., see docs/own_segmentation.md"
            )
        if self.absent:
            _warn(f"no training label is of some classes: found {missing}")
        if self.all_ignored:
            first, more = self.all_ignored[0], len(self.all_ignored) - 1
            others = f" (and {more} more)" if more else ""
            _warn(f"{first}{others}: every pixel is ignored, so the image teaches nothing")


def survey_labels(
    samples: Sequence[Mapping[str, Any]], classes: Sequence[str], limit: int = READ_AT_FIRST
) -> LabelSurvey:
    """Count the pixels of each class.

    Args:
        samples: Samples of a :class:`~ean_transfer.segmentation.datasets.CheckedSegDataset`.
        classes: Name of each class.
        limit: Number of files to read, spread evenly over the samples. All are read where these
            hold fewer than two classes.

    Raises:
        DataError: A label file is unreadable, or has values that are no labels.
    """
    chosen = evenly_spread(min(limit, len(samples)), len(samples))
    survey = _survey([samples[index] for index in chosen], classes, len(samples))
    if len(classes) - len(survey.absent) < 2 and survey.files < survey.total:
        return _survey(samples, classes, len(samples))
    return survey


def _survey(
    samples: Sequence[Mapping[str, Any]], classes: Sequence[str], total: int
) -> LabelSurvey:
    pixels = np.zeros(IGNORE + 1, np.int64)
    all_ignored = []
    for sample in samples:
        path = sample["seg_map_path"]
        outside, values = _values(path, os.stat(path).st_mtime_ns)
        table = label_table(len(classes), sample["reduce_zero_label"], sample["label_map"])
        if outside or values[table < 0].any():
            CheckedAnnotations().transform(dict(sample, seg_fields=[]))  # which says what is wrong
        labels = np.bincount(table[table >= 0], values[table >= 0], IGNORE + 1).astype(np.int64)
        pixels += labels
        if not labels[:IGNORE].any():
            all_ignored.append(path)
    return LabelSurvey(tuple(classes), pixels, len(samples), total, tuple(all_ignored))


@lru_cache(maxsize=4 * READ_AT_FIRST)
def _values(path: str, changed: int) -> tuple[int, Histogram]:
    """Pixels outside 0-255, and of each value; kept for the other trainings of a study."""
    values = read_labels(path).ravel()
    within = values[(values >= 0) & (values <= IGNORE)]
    return values.size - within.size, np.bincount(within.astype(np.uint8), minlength=IGNORE + 1)


def _warn(text: str) -> None:
    print_log(text, logger="current", level=logging.WARNING)
