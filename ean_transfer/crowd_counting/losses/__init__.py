"""Losses of a density map: from a target map, or from the points themselves.

Each is a module ``loss(density, samples, stride)`` that returns named terms, see
:class:`~ean_transfer.crowd_counting.losses.base.CountingLoss`; :class:`DensityCounter` adds up the
terms of its ``losses``.

======================  ====================================================
:mod:`~.base`           the base class, own cells of an image, distances
:mod:`~.density_mse`    squared error to a target map, the usual loss
:mod:`~.bayesian`       Bayesian loss: each person's expected count is one
:mod:`~.dm_count`       DM-Count: optimal transport of density onto points
:mod:`~.count`          absolute error of the count, as an additional term
======================  ====================================================
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
