"""UCF-QNRF's format: one ``.mat`` beside each image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset
from ean_transfer.crowd_counting.datasets.files import Files, named_files, pair_up
from ean_transfer.crowd_counting.datasets.matlab import read_matlab_points
from ean_transfer.io.checked import checked_arguments


@DATASETS.register_module()
class QNRFDataset(CountingDataset):
    """UCF-QNRF (Idrees et al., ECCV 2018), and folders in that format::

        data_root/Train/img_0001.jpg
        data_root/Train/img_0001_ann.mat

    In a ``.mat``, ``annPoints`` is N x 2 (x, y). 1201 images to train, 334 to test; there is no
    validation part, so hold one out of the training images by ``draw`` or ``indices``. Your own
    images may have any name ``NAME.jpg``, with ``NAME_ann.mat``.

    Some published points lie outside their image. Public code that follows the preprocessing of
    Ma et al. ("Bayesian Loss", ICCV 2019) drops them, and so reports on lower counts; here they are
    moved onto the border, which keeps the published count.

    Args:
        data_root: The folder that holds ``Train`` and ``Test``; unpacked as ``UCF-QNRF_ECCV18``.
        split: ``"train"`` or ``"test"``.
        outside: Argument of :class:`CountingDataset`; here ``"clamp"`` by default, see above.
        **kwargs: Arguments of :class:`CountingDataset`.
    """

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        split: Literal["train", "test"] = "train",
        outside: Literal["error", "clamp"] = "clamp",
        **kwargs: Any,
    ) -> None:
        self.split = split
        super().__init__(data_root, outside, **kwargs)

    def list_files(self) -> Files:
        folder = Path(self.data_root) / self.split.capitalize()
        return pair_up(
            named_files(folder),
            named_files(folder, suffixes="_ann.mat"),
            naming="NAME.jpg has NAME_ann.mat",
        )

    def read_points(self, annotation: Path) -> npt.ArrayLike:
        return read_matlab_points(annotation)
