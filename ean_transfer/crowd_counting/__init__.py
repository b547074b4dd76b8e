"""Crowd counting by density maps, for mmengine: importing this package registers its parts.

=============================  =============================================
:mod:`~.points`                what a point is, and when it is in the image
:mod:`~.density`               points to a map that sums to the count
:mod:`~.datasets`              ShanghaiTech's format, dot images
:mod:`~.transforms`            load, augment with points, make targets, pack
:mod:`~.structures`            what an image carries through the model
:mod:`~.model`                 preprocessor, head, counter
:mod:`~.metric`                MAE and RMSE
:mod:`~.visualize`             a heat map over its image
=============================  =============================================
"""

from ean_transfer.crowd_counting.datasets import (
    CountingDataset,
    DotImageDataset,
    ShanghaiTechDataset,
)
from ean_transfer.crowd_counting.density import density_map
from ean_transfer.crowd_counting.metric import CountingMetric
from ean_transfer.crowd_counting.model import CountingPreprocessor, DensityCounter, DensityHead
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.crowd_counting.transforms import (
    AlbuPoints,
    DensityMap,
    LoadCountingImage,
    PackCountingInputs,
)
from ean_transfer.crowd_counting.visualize import draw_density

__all__ = [
    "AlbuPoints",
    "CountingDataSample",
    "CountingDataset",
    "CountingMetric",
    "CountingPreprocessor",
    "DensityCounter",
    "DensityHead",
    "DensityMap",
    "DotImageDataset",
    "LoadCountingImage",
    "PackCountingInputs",
    "ShanghaiTechDataset",
    "density_map",
    "draw_density",
]
