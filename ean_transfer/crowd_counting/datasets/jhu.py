"""JHU-Crowd++'s format: one text file per image, one line per head."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset
from ean_transfer.crowd_counting.datasets.files import Files, named_files, pair_up
from ean_transfer.errors import DataError
from ean_transfer.io.checked import checked_arguments


@DATASETS.register_module()
class JHUCrowdDataset(CountingDataset):
    """JHU-Crowd++ (Sindagi et al., 2020), and folders in that format::

        data_root/train/images/0001.jpg
        data_root/train/gt/0001.txt

    A line of a ``.txt`` is one head: ``x y w h occlusion blur``, six whole numbers separated by
    spaces, of which (x, y), the head's centre, is used; an empty file is an image without people.
    ``image_labels.txt`` (count, scene, weather) is not read. 2272 images to train, 500 to validate,
    1600 to test. Public code for this data set expects points just outside the image; here they are
    moved onto the border by default, which keeps the published count.

    Args:
        data_root: The folder that holds ``train``, ``val`` and ``test``; unpacked as
            ``jhu_crowd_v2.0``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        outside: Argument of :class:`CountingDataset`; here ``"clamp"`` by default, see above.
        **kwargs: Arguments of :class:`CountingDataset`.
    """

    without_points = True

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        split: Literal["train", "val", "test"] = "train",
        outside: Literal["error", "clamp"] = "clamp",
        **kwargs: Any,
    ) -> None:
        self.split = split
        super().__init__(data_root, outside, **kwargs)

    def list_files(self) -> Files:
        folder = Path(self.data_root) / self.split
        return pair_up(
            named_files(folder / "images"),
            named_files(folder / "gt", suffixes=".txt"),
            naming="images/NAME.jpg has gt/NAME.txt",
        )

    def read_points(self, annotation: Path) -> npt.ArrayLike:
        # Other bytes than ASCII become a character that is in no number: their line is refused.
        lines = annotation.read_text(encoding="ascii", errors="replace").splitlines()
        # A blank file has no head; a blank line between heads is a broken file.
        heads = enumerate(lines, 1) if any(map(str.strip, lines)) else ()
        return [_head(annotation, number, line) for number, line in heads]


def _head(annotation: Path, number: int, line: str) -> tuple[int, int]:
    try:
        x, y, _width, _height, _occlusion, _blur = map(int, line.split())
    except ValueError as error:
        raise DataError(
            f"{annotation}, line {number}: expected six whole numbers, "
            f'"x y w h occlusion blur", found {line!r:.80}; correct the file'
        ) from error
    return x, y
