"""ShanghaiTech's format: one ``.mat`` per image, in a folder of its own."""

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
class ShanghaiTechDataset(CountingDataset):
    """ShanghaiTech, parts A and B (Zhang et al., CVPR 2016), and folders in that format::

        data_root/part_B/train_data/images/IMG_1.jpg
        data_root/part_B/train_data/ground-truth/GT_IMG_1.mat

    Archives in circulation differ: ``part_B_final`` and ``ground_truth`` are read as well. In a
    ``.mat``, ``image_info.location`` is N x 2 (x, y). Its ``number`` is not read: the count is the
    number of points. Part A: 300 + 182 images, part B: 400 + 316. Your own images may have any
    name ``NAME.jpg``, with ``GT_NAME.mat`` or ``NAME.mat``, and ``annPoints`` in place of the
    struct.

    Args:
        data_root: The folder that holds ``part_A`` and / or ``part_B`` (or ``part_A_final`` ...).
        part: ``"A"`` or ``"B"``.
        split: ``"train"`` or ``"test"``.
        **kwargs: Arguments of :class:`CountingDataset`.
    """

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        part: Literal["A", "B"],
        split: Literal["train", "test"] = "train",
        **kwargs: Any,
    ) -> None:
        self.part = part
        self.split = split
        super().__init__(data_root, **kwargs)

    def list_files(self) -> Files:
        part = _existing(Path(self.data_root), f"part_{self.part}", f"part_{self.part}_final")
        folder = part / f"{self.split}_data"
        truth = _existing(folder, "ground-truth", "ground_truth")
        return pair_up(
            named_files(folder / "images"),
            named_files(truth, suffixes=".mat", prefix="GT_"),
            naming=f"NAME.jpg has {truth.name}/GT_NAME.mat",
        )

    def read_points(self, annotation: Path) -> npt.ArrayLike:
        return read_matlab_points(annotation)


def _existing(parent: Path, *names: str) -> Path:
    """The first folder of these names that is there; the first name if none is."""
    folders = [parent / name for name in names]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
