"""A class-balanced part held out of a training set.

The search scores masks on images that trained nothing, and must not see the test set before the
last table. Source: "Efficient Attention Network" (arXiv 2011.14058), which holds 100 images of each
class out of ImageNet's training set.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.registry import DATASETS

from ean_transfer.errors import ConfigError, DataError

Part = Literal["train", "held_out"]


def split_by_class(
    labels: npt.NDArray[np.integer],
    part: Part,
    per_class: int,
    seed: int,
    limit_per_class: int | None = None,
) -> npt.NDArray[np.intp]:
    """The images of one part of a class-balanced split.

    Each class is shuffled by one generator. Its first ``per_class`` images are held out, the rest
    trains; a limit takes the first of the rest, so that smaller training parts lie within larger
    ones and the held-out part is the same for all of them.

    Args:
        labels: (N,) the class of each image.
        part: ``"held_out"``, or ``"train"`` for the rest.
        per_class: Images of each class to hold out.
        seed: Seed of the shuffles.
        limit_per_class: Images of each class to keep of the training part; ``None`` keeps all.

    Returns:
        Indices into ``labels``, one image of each class in turn: a folder lists a class after the
        other, and a batch of one class would have BatchNorm statistics that no mixed batch has.
    """
    # RandomState and not default_rng: its stream is frozen (NEP 19), a split outlives a NumPy.
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
class HeldOutSplit:
    """One part of a training set: the images held out for the search, or the others.

    The two parts of one data set, with the same ``per_class`` and ``seed``, are disjoint and
    together everything (without a limit). Each has a data set dict of its own, so their pipelines
    can differ::

        train_dataset = dict(type=HeldOutSplit, part="train", per_class=500,
                             dataset=dict(type=CIFAR10, ..., pipeline=augmented))
        held_out = dict(type=HeldOutSplit, part="held_out", per_class=500,
                        dataset=dict(type=CIFAR10, ..., pipeline=plain))

    Args:
        dataset: Any mmengine ``BaseDataset`` with one integer ``gt_label`` an image, or its config.
        part: ``"train"`` or ``"held_out"``.
        per_class: Images of each class to hold out.
        seed: Seed of the draw. The part depends on the seed and the labels and on nothing else.
        limit_per_class: Images of each class to keep of the training part, for short runs;
            ``None`` keeps all. The held-out part does not depend on it.
        lazy_init: Leave reading the data set to :meth:`full_init`.

    Raises:
        ConfigError: If the part is unknown or a number of images is not positive.
        DataError: If a class has too few images, or an image has no single label.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict[str, Any],
        part: Part,
        per_class: int,
        seed: int = 0,
        limit_per_class: int | None = None,
        lazy_init: bool = False,
    ) -> None:
        if part not in get_args(Part):
            expected = " or ".join(f'"{name}"' for name in get_args(Part))
            raise ConfigError(f"HeldOutSplit: expected part as {expected}, found {part!r}")
        if per_class < 1:
            raise ConfigError(f"HeldOutSplit: expected per_class of 1 or more, found {per_class}")
        if limit_per_class is not None and limit_per_class < 1:
            raise ConfigError(
                f"HeldOutSplit: expected limit_per_class of 1 or more, found {limit_per_class}"
            )
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.part = part
        self.per_class = per_class
        self.seed = seed
        self.limit_per_class = limit_per_class
        self._indices: npt.NDArray[np.intp]
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """The whole data set's meta information (class names ...)."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the data set's labels and draw the split, once."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        labels = np.array([self._label(index) for index in range(len(self.dataset))], dtype=int)
        self._check_counts(labels)
        self._indices = split_by_class(
            labels, self.part, self.per_class, self.seed, self.limit_per_class
        )
        self._fully_initialized = True

    @property
    @force_full_init
    def indices(self) -> npt.NDArray[np.intp]:
        """(len,) the part's images, as indices into the whole data set."""
        return self._indices.copy()

    @force_full_init
    def __len__(self) -> int:
        return len(self._indices)

    @force_full_init
    def __getitem__(self, index: int) -> Any:
        """The image after the inner data set's pipeline."""
        return self.dataset[int(self._indices[index])]

    @force_full_init
    def get_data_info(self, index: int) -> dict[str, Any]:
        """The image's annotation; its ``sample_idx`` counts in the whole data set."""
        return self.dataset.get_data_info(int(self._indices[index]))

    @force_full_init
    def get_cat_ids(self, index: int) -> list[int]:
        """The image's class, as the list that mmengine's wrappers expect."""
        return [self._label(int(self._indices[index]))]

    def _label(self, index: int) -> int:
        label = self.dataset.get_data_info(index).get("gt_label")
        if label is None or np.size(label) != 1:
            raise DataError(
                f"HeldOutSplit: image {index} of {self._name} has gt_label {label!r}, expected one "
                "class an image"
            )
        return int(np.asarray(label).item())

    def _check_counts(self, labels: npt.NDArray[np.integer]) -> None:
        """Refuse classes that cannot give what was asked for."""
        names = self.metainfo.get("classes") or ()
        counts = np.bincount(labels, minlength=len(names))
        # One image must remain, or the training part would lack a class without a word.
        to_train = self.limit_per_class or 1
        for label, count in enumerate(counts):
            if count < self.per_class + to_train:
                name = repr(names[label]) if label < len(names) else str(label)
                raise DataError(
                    f"class {name} of {self._name} has {count} images, too few to hold out "
                    f"{self.per_class} and train on {'' if self.limit_per_class else 'at least '}"
                    f"{to_train}: lower per_class or limit_per_class"
                )

    @property
    def _name(self) -> str:
        return type(self.dataset).__name__
