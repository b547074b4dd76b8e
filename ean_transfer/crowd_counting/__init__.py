"""Crowd counting by density maps, for mmengine: importing this package registers its parts.

=============================  =============================================
:mod:`~.points`                what a point is, and when it is in the image
:mod:`~.density`               points to a map that sums to the count
:mod:`~.datasets`              the published data sets' formats, dot images
:mod:`~.checking`              what is wrong with a data set's folder
:mod:`~.sheet`                 a data set's images at a glance
:mod:`~.transforms`            load, augment with points, make targets, pack
:mod:`~.augmentation`          albumentations with points that stay on what they mark
:mod:`~.structures`            what an image carries through the model
:mod:`~.preprocessor`          images and target maps to a batch
:mod:`~.heads`                 feature maps to a density map
:mod:`~.losses`                by a target map, or by the points
:mod:`~.model`                 the counter: backbone, neck, head, losses
:mod:`~.tiling`                large images in tiles
:mod:`~.metric`                MAE, RMSE, NAE, GAME; a table of the images
:mod:`~.visualize`             a heat map over its image
:mod:`~.visualizer`            such pictures at each validation, in mmengine's visualiser
:mod:`~.prediction`            counts and pictures of one's own images
=============================  =============================================
"""

from ean_transfer.crowd_counting.datasets import (
    CountingDataset,
    DotImageDataset,
    JHUCrowdDataset,
    NWPUCrowdDataset,
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
    "QNRFDataset",
    "ShanghaiTechDataset",
    "adaptive_sigmas",
    "density_map",
    "draw_density",
]
