"""Which images of a data set are looked at, and what their labels are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config
from torch import Tensor

from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.loading import IGNORE

LabelMap = npt.NDArray[np.integer]
"""(H, W) class indices."""


def require_samples(samples: Sequence[int], dataset: Any, cfg: Config) -> None:
    """Refuse places that a test set does not have; negative ones would count from its end.

    Raises:
        ConfigError: A place is below 0, or beyond the last image.
    """
    for sample in samples:
        if not 0 <= sample < len(dataset):
            raise ConfigError(
                f"{cfg.filename}: expected samples from 0 to {len(dataset) - 1}, the places in the "
                f"test set, found {sample}"
            )


def class_labels(labels: Iterable[Any]) -> list[int]:
    """Labels of a classification data set, as whole numbers.

    Args:
        labels: The ``gt_label`` of each image, as the data set or its packed samples have it.

    Raises:
        ConfigError: An image has no label, or several.
    """
    arrays = [np.ravel([] if label is None else label) for label in labels]
    if wrong := [array.tolist() for array in arrays if array.size != 1]:
        raise ConfigError(f"expected test images with one label each, found {wrong[0]}")
    return [int(array[0]) for array in arrays]


def batch_labels(batch: Mapping[str, Any]) -> Tensor:
    """The labels (N,) of packed images, which must be uint8.

    Raises:
        ConfigError: An image is not uint8, or has not exactly one label.
    """
    # Corruptions and pictures of normalised images would be wrong without any error.
    if others := {image.dtype for image in batch["inputs"]} - {torch.uint8}:
        raise ConfigError(
            f"expected a test pipeline that ends with images of uint8, found {others.pop()}: leave "
            "normalisation to the model's data_preprocessor"
        )
    return torch.tensor(class_labels(sample.get("gt_label") for sample in batch["data_samples"]))


def label_map(sample: Any) -> LabelMap:
    """The true labels (H, W) of a packed segmentation sample; all ignored where it has none."""
    if "gt_sem_seg" not in sample:
        return np.full(sample.get("ori_shape", (1, 1))[:2], IGNORE, dtype=np.uint8)
    return sample.gt_sem_seg.data[0].numpy()
