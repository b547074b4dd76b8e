"""CamVid: street scenes from a car, in the common 11-class version.

Source: Brostow, Fauqueur, Cipolla, "Semantic object classes in video: A high-definition ground
truth database", Pattern Recognition Letters 30(2), 2009; the 11 classes are those of Badrinarayanan
et al., "SegNet" (arXiv 1511.00561).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mmcv
from mmengine.registry import DATASETS
from mmseg.datasets import BaseSegDataset

from ean_transfer.errors import DataError

VOID = 11
"""Label of a pixel without a class in the files."""
IGNORE = 255
"""What void becomes: the label that mmseg's losses and metrics leave out."""


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid frames with one class a pixel: ``data_root/split/{images/*.jpg,labels/*.png}``.

    A label file holds 0-10 for the classes below and 11 for void, which the pipeline's
    ``LoadAnnotations`` turns into 255, mmseg's ``ignore_index``.

    Args:
        data_root: The data set's folder.
        split: ``"train"`` or ``"val"``, a folder of ``data_root``.
        **kwargs: Of mmseg's ``BaseSegDataset``: ``pipeline``, ``indices``, ``img_suffix``, ...

    Raises:
        DataError: If a folder is missing or empty, a frame has no label file, or the first label
            file is not in the 11-class version (e.g. holds colours).
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
        # RGB, the colours of the data set's own label images.
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
        super().__init__(
            data_root=str(Path(data_root).expanduser()),
            data_prefix={
                "img_path": os.path.join(split, "images"),
                "seg_map_path": os.path.join(split, "labels"),
            },
            **kwargs,
        )

    @classmethod
    def get_label_map(cls, new_classes: Any = None) -> dict[int, int]:
        """Label in the files -> label in training; without it, void would be a twelfth class."""
        return {**(super().get_label_map(new_classes) or {}), VOID: IGNORE}

    def load_data_list(self) -> list[dict[str, Any]]:
        """``{img_path, seg_map_path, label_map, ...}`` of every frame, by name."""
        for key in ("img_path", "seg_map_path"):
            if not Path(self.data_prefix[key]).is_dir():
                raise DataError(
                    f"{self.data_prefix[key]}: no such CamVid folder (expected <data_root>/<split>/"
                    "images/*.jpg and labels/*.png); unpack the data there or set data_root"
                )
        frames: list[dict[str, Any]] = super().load_data_list()
        if not frames:
            raise DataError(
                f"{self.data_prefix['img_path']}: no CamVid frames (looked for *{self.img_suffix})"
            )
        for frame in frames:
            if not Path(frame["seg_map_path"]).is_file():
                raise DataError(f"{frame['seg_map_path']}: no labels for {frame['img_path']}")
        _check_labels(frames[0]["seg_map_path"])
        return frames


def _check_labels(path: str) -> None:
    """Refuse label images of another version of CamVid, of which the colour coded is the usual."""
    labels = mmcv.imread(path, flag="unchanged")
    if labels is None:
        raise DataError(f"{path}: cannot be decoded as an image; replace the file")
    if labels.ndim != 2:
        found = f"an image of {labels.shape[2]} channels"
    elif (strange := int(labels[labels != IGNORE].max(initial=0))) > VOID:
        found = f"the value {strange}"
    else:
        return
    raise DataError(
        f"{path}: expected the 11-class CamVid, one value a pixel, 0-10 and {VOID} for void; "
        f"found {found}"
    )
