"""VGG Cells' format, and that of your own dots: one dot image beside each image."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset
from ean_transfer.crowd_counting.datasets.files import Files, numbered_files, pair_up
from ean_transfer.crowd_counting.points import Points
from ean_transfer.errors import DataError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.io.images import read_image, read_image_size


@DATASETS.register_module()
class DotImageDataset(CountingDataset):
    """VGG Cells (Lempitsky and Zisserman, 2010), and other folders with one dot image per image::

        data_root/001cell.png    the image
        data_root/001dots.png    black, with one red pixel per object

    VGG Cells' protocol: the first 100 images are the training pool, of which N are drawn by a seed
    (``draw=dict(pool=100, size=50, seed=0)``), the others validate (the same with ``rest=True``),
    and the last 100 test (``indices=-100``); repeat with other seeds.

    Args:
        data_root: The folder.
        image_suffix: End of an image's name, after the number.
        dots_suffix: End of a dot image's name, after the number.
        **kwargs: Arguments of :class:`CountingDataset`.
    """

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        image_suffix: str = "cell.png",
        dots_suffix: str = "dots.png",
        **kwargs: Any,
    ) -> None:
        self.image_suffix = image_suffix
        self.dots_suffix = dots_suffix
        super().__init__(data_root, **kwargs)

    def list_files(self) -> Files:
        folder = Path(self.data_root)
        images = numbered_files(rf"(\d+){re.escape(self.image_suffix)}", folder)
        return pair_up(images, numbered_files(rf"(\d+){re.escape(self.dots_suffix)}", folder))

    def check_annotation(self, annotation: Path, image: Path, image_size: tuple[int, int]) -> None:
        size = read_image_size(annotation)
        if size != image_size:
            raise DataError(
                f"{annotation}: expected dots of the size of {image.name}, {image_size[1]} x "
                f"{image_size[0]} pixels, found {size[1]} x {size[0]}; give the original"
            )

    def read_points(self, annotation: Path) -> Points:
        dots = read_image(annotation)
        red = (dots == (0, 0, 255)).all(axis=2)
        stray = dots.any(axis=2) & ~red
        # A photograph, or a lossy file in place of the dots, would give thousands of objects.
        if stray.any():
            colours = np.unique(dots[stray][:, ::-1], axis=0)[:3].tolist()
            raise DataError(
                f"{annotation}: expected red pixels (255, 0, 0) on black, found {stray.sum()} "
                f"others, of RGB {colours}; give the original, losslessly saved dot image"
            )
        rows, columns = np.nonzero(red)
        return np.stack((columns, rows), axis=1).astype(np.float32)
