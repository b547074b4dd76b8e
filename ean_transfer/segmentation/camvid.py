"""CamVid: street scenes from a car, in the common 11-class version.

Source: Brostow, Fauqueur, Cipolla, "Semantic object classes in video: A high-definition ground
truth database", Pattern Recognition Letters 30(2), 2009; the 11 classes are those of Badrinarayanan
et al., "SegNet" (arXiv 1511.00561).
"""

from __future__ import annotations

import os
from typing import Any

from mmengine.registry import DATASETS

from ean_transfer.io.files import expanded
from ean_transfer.segmentation.datasets import CheckedSegDataset
from ean_transfer.segmentation.loading import IGNORE

VOID = 11
"""The label that the files give to pixels without a class."""


@DATASETS.register_module()
class CamVidDataset(CheckedSegDataset):
    """CamVid frames with one class per pixel: ``data_root/split/{images/*.jpg,labels/*.png}``.

    A label file holds 0-10 for the classes below and 11 for void, which becomes 255, mmseg's
    ``ignore_index``, when the pipeline reads the labels.

    Args:
        data_root: The data set's folder.
        split: Folder in ``data_root``: ``"train"``, ``"val"`` or ``"test"``.
        **kwargs: Arguments of :class:`CheckedSegDataset`: ``pipeline``, ``indices``, ...; with
            ``data_prefix``, for folders of other names, ``split`` says nothing.

    Raises:
        DataError: A folder is missing or empty, a frame has no label file, or the first label file
            is of another version of CamVid (with 32 classes, or colours).
    """

    METAINFO = {
        "classes": (
            "Sky",
            "Building",
            "Pole",
            "Road",
            "Pavement",
            "Tree",
            "SignSymbol",
            "Fence",
            "Car",
            "Pedestrian",
            "Bicyclist",
        ),
        # RGB, the colours of the data set's own label pictures.
        "palette": [
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [0, 0, 192],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    }

    def __init__(
        self, data_root: str | os.PathLike[str], split: str = "train", **kwargs: Any
    ) -> None:
        folders = {
            "img_path": os.path.join(split, "images"),
            "seg_map_path": os.path.join(split, "labels"),
        }
        super().__init__(data_root=str(expanded(data_root)), **{"data_prefix": folders, **kwargs})

    @classmethod
    def get_label_map(cls, new_classes: Any = None) -> dict[int, int]:
        """Label in the files -> label in training, with void ignored instead of a twelfth class."""
        return {**(super().get_label_map(new_classes) or {}), VOID: IGNORE}
