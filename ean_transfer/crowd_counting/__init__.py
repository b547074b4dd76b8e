"""Crowd counting by density maps, for mmengine: importing this package registers its parts.

=============================  ===================================================
:mod:`~.datasets`              the published data sets' formats, dot images
:mod:`~.conversion`            points of other formats as one table
:mod:`~.folder_report`         a report of everything that is wrong with a folder
:mod:`~.contact_sheet`         thumbnails of a data set with its points
:mod:`~.points`                what a point is, and when it is in the image
:mod:`~.density`               points to a map that sums to the count
:mod:`~.transforms`            load, augment with points, make targets, pack
:mod:`~.point_augmentation`    albumentations whose points stay on what they mark
:mod:`~.structures`            the data sample: one image's truth and prediction
:mod:`~.preprocessor`          images and target maps to a batch
:mod:`~.model`                 the counter: backbone, neck, head, losses, tiles
:mod:`~.heads`                 feature maps to a density map
:mod:`~.losses`                from a target map, or from the points
:mod:`~.metric`                MAE, RMSE, NAE, GAME; a table of the images
:mod:`~.scoring`               error of the count and loss of each image, for the search
:mod:`~.visualizer`            drawing a sample, mmengine's visualiser
:mod:`~.hooks`                 pictures at each validation
:mod:`~.inference`             counts and pictures of your own images
:mod:`~.places`                peaks of a density map as points; counts within regions
=============================  ===================================================

Tiles for large images are in :mod:`ean_transfer.data.tiles`, heat maps over images in
:mod:`ean_transfer.visualization.density`.
"""

from ean_transfer.crowd_counting.datasets import (
    CountingDataset,
    DotImageDataset,
    JHUCrowdDataset,
    NWPUCrowdDataset,
    PointsDataset,
    QNRFDataset,
    ShanghaiTechDataset,
)
from ean_transfer.crowd_counting.density import adaptive_sigmas, density_map
from ean_transfer.crowd_counting.heads import DensityHead
from ean_transfer.crowd_counting.hooks import CountingVisualizationHook
from ean_transfer.crowd_counting.losses import BayesianLoss, CountL1, DensityMSE, DMCountLoss
from ean_transfer.crowd_counting.metric import CountingMetric
from ean_transfer.crowd_counting.model import DensityCounter
from ean_transfer.crowd_counting.preprocessor import CountingPreprocessor
from ean_transfer.crowd_counting.scoring import CountingScorer
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.crowd_counting.transforms import (
    AdaptiveSigmas,
    AlbuPoints,
    DensityMap,
    LimitSize,
    LoadCountingImage,
    PackCountingInputs,
)
from ean_transfer.crowd_counting.visualizer import CountingVisualizer
from ean_transfer.visualization.density import draw_density

__all__ = [
    "AdaptiveSigmas",
    "AlbuPoints",
    "BayesianLoss",
    "CountL1",
    "CountingDataSample",
    "CountingDataset",
    "CountingMetric",
    "CountingPreprocessor",
    "CountingScorer",
    "CountingVisualizationHook",
    "CountingVisualizer",
    "DMCountLoss",
    "DensityCounter",
    "DensityHead",
    "DensityMSE",
    "DensityMap",
    "DotImageDataset",
    "JHUCrowdDataset",
    "LimitSize",
    "LoadCountingImage",
    "NWPUCrowdDataset",
    "PackCountingInputs",
    "PointsDataset",
    "QNRFDataset",
    "ShanghaiTechDataset",
    "adaptive_sigmas",
    "density_map",
    "draw_density",
]
