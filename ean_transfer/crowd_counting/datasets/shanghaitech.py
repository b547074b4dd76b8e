"""ShanghaiTech's format: one ``.mat`` per image, in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset
from ean_transfer.crowd_counting.datasets.files import (
    Files,
    numbered_files,
    pair_up,
    read_matlab,
)
from ean_transfer.io.checked import checked_arguments


@DATASETS.register_module()
class ShanghaiTechDataset(CountingDataset):
    """ShanghaiTech, parts A and B (Zhang et al., CVPR 2016), and folders in that format::

        data_root/part_B/train_data/images/IMG_1.jpg
        data_root/part_B/train_data/ground-truth/GT_IMG_1.mat   (or ground_truth/)

    In a ``.mat``, ``image_info[0, 0]["location"][0, 0]`` is N x 2 (x, y). Its ``number`` is not
    read: the count is the number of points. Part A: 300 + 182 images, part B: 400 + 316.

    Args:
        data_root: The folder that holds ``part_A`` and / or ``part_B``.
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
        folder = Path(self.data_root) / f"part_{self.part}" / f"{self.split}_data"
        images = numbered_files(r"IMG_(\d+)\.jpe?g", folder / "images")
        truth = folder / "ground-truth"
        if not truth.is_dir():  # the other spelling of archives in circulation
            truth = folder / "ground_truth"
        return pair_up(images, numbered_files(r"GT_IMG_(\d+)\.mat", truth))

    def read_points(self, annotation: Path) -> npt.ArrayLike:
        return read_matlab(
            annotation,
            "image_info[0,0]['location'][0,0]",
            lambda content: content["image_info"][0, 0]["location"][0, 0],
        )
