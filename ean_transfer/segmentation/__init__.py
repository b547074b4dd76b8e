"""What mmsegmentation lacks: importing this package registers its parts with mmengine.

====================  ==========================================================
:mod:`~.checks`       strict reading of images and labels, complete data sets
:mod:`~.camvid`       CamVid in its common 11-class version
:mod:`~.transforms`   albumentations on an image and its labels
:mod:`~.metric`       mmsegmentation's scores, each class's among them
:mod:`~.tta`          test-time augmentation
:mod:`~.visualize`    label maps over images
:mod:`~.prediction`   overlays and label maps of one's own images
====================  ==========================================================
"""

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.data.loading import LoadImage
from ean_transfer.segmentation.camvid import CamVidDataset
from ean_transfer.segmentation.datasets import (
    CheckedADE20KDataset,
    CheckedCityscapesDataset,
    CheckedPascalVOCDataset,
    CheckedSegDataset,
)
from ean_transfer.segmentation.loading import CheckedAnnotations
from ean_transfer.segmentation.metric import PerClassIoUMetric
from ean_transfer.segmentation.transforms import AlbuSeg
from ean_transfer.segmentation.tta import SegmentationTTA, set_tta
from ean_transfer.visualization.labels import draw_legend, draw_prediction, draw_segmentation

__all__ = [
    "AlbuSeg",
    "CamVidDataset",
    "CheckedADE20KDataset",
    "CheckedAnnotations",
    "CheckedCityscapesDataset",
    "CheckedPascalVOCDataset",
    "CheckedSegDataset",
    "LoadImage",
    "PerClassIoUMetric",
    "SegmentationTTA",
    "draw_legend",
    "draw_prediction",
    "draw_segmentation",
    "set_tta",
]
