"""Semantic segmentation with mmseg, and what mmseg lacks; importing it registers all parts.

======================  ==============================================================
:mod:`~.datasets`       mmseg's data sets, checked for missing and misfitting files
:mod:`~.pairs`          which label file belongs to which image
:mod:`~.survey`         what a training set's labels hold, before the first iteration
:mod:`~.seg_folder`     your own images and label files, in two folders
:mod:`~.camvid`         CamVid in its common 11-class version
:mod:`~.loading`        reading label files, and refusing those that do not fit
:mod:`~.transforms`     albumentations on images together with their label maps
:mod:`~.metric`         mmseg's scores with the IoU of each class
:mod:`~.tta`            test-time augmentation
:mod:`~.scoring`        mean IoU and cross entropy of each image, for the search
:mod:`~.folder_report`  everything that is wrong with a folder of images and labels
:mod:`~.conversion`     label files out of other formats
:mod:`~.contact_sheet`  thumbnails of a folder's images with their labels
:mod:`~.inference`      label maps and overlays of your own images
======================  ==============================================================
"""

import ean_transfer._mmseg  # noqa: F401 - first, it keeps the next imports quiet
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
from ean_transfer.segmentation.scoring import SegmentationScorer
from ean_transfer.segmentation.seg_folder import SegFolder
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
    "SegFolder",
    "SegmentationScorer",
    "SegmentationTTA",
    "draw_legend",
    "draw_prediction",
    "draw_segmentation",
    "set_tta",
]
