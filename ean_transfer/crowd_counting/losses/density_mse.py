"""Mean squared error to a target density map: the default loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from ean_transfer.crowd_counting.losses.base import CountingLoss
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.errors import ConfigError


@MODELS.register_module()
class DensityMSE(CountingLoss):
    """The mean over all cells of the batch of ``(density_factor (predicted - target))^2``.

    The mean, as in the C^3 Framework (Gao et al., arXiv 1907.02724, whose ResNet-50 counter uses a
    factor of 100), and not CSRNet's sum, so that the learning rate does not depend on the sizes of
    crop and batch. Padding of a batch counts as empty image.

    Args:
        density_factor: Factor on both densities, see above.
        loss_weight: Factor of the term, ``loss_density``.
    """

    def __init__(self, density_factor: float = 100.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.density_factor = density_factor
        self.loss_weight = loss_weight

    def forward(
        self, density: Tensor, samples: Sequence[CountingDataSample], stride: int
    ) -> dict[str, Tensor]:
        """Return ``loss_density``.

        Raises:
            ConfigError: A sample has no target, or one of another stride.
        """
        strides = [sample.get("density_stride") for sample in samples if "gt_density" in sample]
        if strides != [stride] * len(samples):
            raise ConfigError(
                f"DensityMSE: expected a target of the head's stride {stride} for each of "
                f"{len(samples)} images to compute a loss on, found targets of strides {strides}; "
                f"put DensityMap(stride={stride}) before PackCountingInputs in their pipeline, "
                "that of training or of the images held out for a search"
            )
        rows, columns = density.shape[-2:]
        targets = [
            F.pad(own, (0, columns - own.shape[1], 0, rows - own.shape[0]))
            for own in (sample.gt_density for sample in samples)
        ]
        target = torch.stack(targets).unsqueeze(1)
        factor = self.density_factor
        loss = F.mse_loss(factor * density, factor * target.to(density))
        return {"loss_density": self.loss_weight * loss}
