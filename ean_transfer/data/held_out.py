"""A part of a training set, held out for the search, and the rest to train on.

The search scores masks on images that trained nothing, and must not see the test set, which is for
the final comparison.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.registry import DATASETS
from pydantic import Field, SkipValidation

from ean_transfer.io.checked import checked_arguments

Part = Literal["train", "held_out"]


class HeldOutPart(ABC):
    """Base of data sets that are one part of another: held out, or the rest.

    Each part has its own config of the inner data set, so the pipelines can differ. Subclasses say
    which images are in the part.

    Args:
        dataset: An mmengine ``BaseDataset``, or its config.
        part: ``"train"`` or ``"held_out"``.
        lazy_init: Leave reading the data set to :meth:`full_init`.
    """

    def __init__(
        self, dataset: BaseDataset | dict[str, Any], part: Part, lazy_init: bool = False
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.part = part
        self._indices: npt.NDArray[np.intp]
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @abstractmethod
    def choose(self) -> npt.NDArray[np.intp]:
        """Indices of the part's images in the inner data set, which has been read."""

    @property
    def metainfo(self) -> dict[str, Any]:
        """The whole data set's meta information (class names ...)."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the data set and choose the part, once."""
        if not self._fully_initialized:
            self.dataset.full_init()
            self._indices = self.choose()
            self._fully_initialized = True

    @property
    @force_full_init
    def indices(self) -> npt.NDArray[np.intp]:
        """(len,) indices of the part's images in the whole data set."""
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


@DATASETS.register_module()
class HeldOutEvery(HeldOutPart):
    """Every n-th image of a training set held out for the search, or the others, for any task.

    The held-out images are the first, the ``every``-th after it, and so on, spread evenly over a
    set that is in some order, like the frames of a video::

        train_dataset = dict(type=HeldOutEvery, part="train", every=6,
                             dataset=dict(type=CamVidDataset, ..., pipeline=augmented))
        held_out = dict(type=HeldOutEvery, part="held_out", every=6,
                        dataset=dict(type=CamVidDataset, ..., pipeline=plain))

    Args:
        dataset: An mmengine ``BaseDataset``, or its config.
        part: ``"train"`` or ``"held_out"``.
        every: One image of so many is held out.
        lazy_init: Leave reading the data set to :meth:`full_init`.

    Raises:
        ConfigError: The part is unknown, or ``every`` is below 2.
    """

    @checked_arguments
    def __init__(
        self,
        dataset: SkipValidation[BaseDataset | dict[str, Any]],
        part: Part,
        every: Annotated[int, Field(ge=2)],
        lazy_init: bool = False,
    ) -> None:
        self.every = every
        super().__init__(dataset, part, lazy_init)

    def choose(self) -> npt.NDArray[np.intp]:
        images = np.arange(len(self.dataset))
        held_out = images % self.every == 0
        return images[held_out if self.part == "held_out" else ~held_out]
