"""A class-balanced part of a training set, held out for the search.

Source: "Efficient Attention Network" (arXiv 2011.14058), which holds 100 images of each class out
of ImageNet's training set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.registry import DATASETS
from pydantic import SkipValidation

from ean_transfer.data.held_out import HeldOutPart, Part
from ean_transfer.errors import DataError
from ean_transfer.io.checked import Positive, checked_arguments


def split_by_class(
    labels: npt.NDArray[np.integer],
    part: Part,
    per_class: int,
    seed: int,
    limit_per_class: int | None = None,
) -> npt.NDArray[np.intp]:
    """The images of one part of a class-balanced split.

    Each class is shuffled by one generator. Its first ``per_class`` images are held out, the others
    are for training. A limit takes the first of these, so that smaller training parts lie within
    larger ones and the held-out part is the same for all of them.

    Args:
        labels: (N,) class of each image.
        part: ``"held_out"``, or ``"train"`` for the others.
        per_class: Images of each class to hold out.
        seed: Seed of the shuffles.
        limit_per_class: Images of each class to keep of the training part; ``None`` keeps all.

    Returns:
        Indices into ``labels``, one image of each class in turn. A folder lists the classes one
        after the other, and a batch of one class has other BatchNorm statistics than mixed ones.
    """
    # RandomState and not default_rng: its stream is frozen (NEP 19), a new NumPy keeps the split.
    generator = np.random.RandomState(seed)
    ranked: list[tuple[int, int, int]] = []  # (rank in its class, class, image)
    for label in np.unique(labels):
        images = generator.permutation(np.flatnonzero(labels == label))
        if part == "held_out":
            images = images[:per_class]
        else:
            images = images[per_class:]
            images = images if limit_per_class is None else images[:limit_per_class]
        ranked += [(rank, int(label), int(image)) for rank, image in enumerate(images)]
    return np.array([image for _, _, image in sorted(ranked)], dtype=np.intp)


@DATASETS.register_module()
class HeldOutSplit(HeldOutPart):
    """One part of a training set: the images held out for the search, or the others.

    The two parts with the same ``per_class`` and ``seed`` are disjoint, and together they are the
    whole set (if there is no limit). Each part has its own config of the data set, so the pipelines
    can differ::

        train_dataset = dict(type=HeldOutSplit, part="train", per_class=500,
                             dataset=dict(type=CIFAR10, ..., pipeline=augmented))
        held_out = dict(type=HeldOutSplit, part="held_out", per_class=500,
                        dataset=dict(type=CIFAR10, ..., pipeline=plain))

    Args:
        dataset: An mmengine ``BaseDataset`` with one integer ``gt_label`` per image, or its config.
        part: ``"train"`` or ``"held_out"``.
        per_class: Images of each class to hold out.
        seed: Seed of the shuffles. The part depends on nothing but the seed and the labels.
        limit_per_class: Images of each class to keep of the training part, for short runs;
            ``None`` keeps all. The held-out part does not depend on it.
        lazy_init: Leave reading the data set to :meth:`full_init`.

    Raises:
        ConfigError: The part is unknown or a number of images is not positive.
        DataError: A class has too few images, or an image does not have exactly one label.
    """

    in_drawn_order = True  # one image of each class in turn

    @checked_arguments
    def __init__(
        self,
        dataset: SkipValidation[BaseDataset | dict[str, Any]],
        part: Part,
        per_class: Positive,
        seed: int = 0,
        limit_per_class: Positive | None = None,
        lazy_init: bool = False,
    ) -> None:
        self.per_class = per_class
        self.seed = seed
        self.limit_per_class = limit_per_class
        super().__init__(dataset, part, lazy_init)

    def choose(self) -> npt.NDArray[np.intp]:
        """Draw the split.

        Raises:
            DataError: A class has too few images, or an image does not have exactly one label.
        """
        labels = [self._label(index) for index in range(len(self.dataset))]
        if problem := self._problem(labels):
            raise DataError(f"HeldOutSplit of {type(self.dataset).__name__}: {problem}")
        return split_by_class(
            np.array(labels, dtype=int).reshape(-1),
            self.part,
            self.per_class,
            self.seed,
            self.limit_per_class,
        )

    @force_full_init
    def get_cat_ids(self, index: int) -> list[int]:
        """The image's class, as the list that mmengine's wrappers expect."""
        return [int(np.asarray(self._label(int(self._indices[index]))).item())]

    def _label(self, index: int) -> Any:
        return self.dataset.get_data_info(index).get("gt_label")

    def _problem(self, labels: Sequence[Any]) -> str:
        """Why these labels cannot be split as asked for; empty if they can."""
        for index, label in enumerate(labels):
            if label is None or np.size(label) != 1:
                return f"image {index} has gt_label {label!r}, expected one class per image"
        names = self.metainfo.get("classes") or ()
        counts = np.bincount(np.array(labels, dtype=int).reshape(-1), minlength=len(names))
        # One image must remain, or the training part would lack a class without any error.
        least = f"{self.limit_per_class or 'at least 1'}"
        for label, count in enumerate(counts):
            if count < self.per_class + (self.limit_per_class or 1):
                name = repr(names[label]) if label < len(names) else str(label)
                return (
                    f"class {name} has {count} images, too few to hold out {self.per_class} and "
                    f"train on {least}: lower per_class or limit_per_class"
                )
        return ""
