"""Base class of the losses, and what they share: an image's own cells, its points, distances."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.errors import ConfigError


class CountingLoss(nn.Module):
    """Base of the losses of a density map.

    Losses that compare with points see an image's own cells only: the density in a batch's padding
    is cut off in prediction too.
    """

    @abstractmethod
    def forward(
        self, density: Tensor, samples: Sequence[CountingDataSample], stride: int
    ) -> dict[str, Tensor]:
        """The terms of the loss, scalars by names that begin with ``loss_``.

        Args:
            density: (N, 1, h, w), objects per cell, >= 0, in float32 or better.
            samples: The truth of each image.
            stride: Pixels per cell.
        """


def own_cells(density: Tensor, sample: CountingDataSample, stride: int) -> Tensor:
    """Cut the batch's padding off a map (h, w)."""
    height, width = sample.get("img_shape", [size * stride for size in density.shape])
    return density[: math.ceil(height / stride), : math.ceil(width / stride)]


def points_of(sample: CountingDataSample, like: Tensor) -> Tensor:
    """The sample's points (N, 2), (x, y) in pixels, on the device and of the type of ``like``.

    Raises:
        ConfigError: The sample has no labels.
    """
    if "gt_points" not in sample:
        raise ConfigError(
            "counting loss: expected points in every sample, found an image without labels; take a "
            "labelled split"
        )
    return sample.gt_points.to(like)


def squared_distances(points: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """Squared distances from points to centres of cells, in square pixels: (N, rows x columns)."""
    x = _centres(columns, stride, points)
    y = _centres(rows, stride, points)
    distance_x = (points[:, :1] - x) ** 2
    distance_y = (points[:, 1:] - y) ** 2
    return (distance_y[:, :, None] + distance_x[:, None, :]).flatten(1)


def _centres(cells: int, stride: int, like: Tensor) -> Tensor:
    # Whole numbers are centres of pixels, so the first cell spans [-0.5, stride - 0.5).
    return (torch.arange(cells, dtype=like.dtype, device=like.device) + 0.5) * stride - 0.5
