"""Losses of a density map: by a target map, or by the points themselves.

Each is a module ``loss(density, samples, stride)`` that returns named terms, see
:class:`~ean_transfer.crowd_counting.losses.base.CountingLoss`; :class:`DensityCounter` adds up
those of its ``losses``.
"""

from ean_transfer.crowd_counting.losses.base import CountingLoss
from ean_transfer.crowd_counting.losses.bayesian import BayesianLoss
from ean_transfer.crowd_counting.losses.count import CountL1
from ean_transfer.crowd_counting.losses.density_mse import DensityMSE
from ean_transfer.crowd_counting.losses.dm_count import DMCountLoss, sinkhorn

__all__ = [
    "BayesianLoss",
    "CountL1",
    "CountingLoss",
    "DMCountLoss",
    "DensityMSE",
    "sinkhorn",
]
