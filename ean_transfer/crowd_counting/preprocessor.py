"""Normalises and pads images and their density maps into a batch."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from mmengine.model import ImgDataPreprocessor
from mmengine.registry import MODELS


@MODELS.register_module()
class CountingPreprocessor(ImgDataPreprocessor):
    """mmengine's image preprocessor; in training it also pads density maps, with zeros.

    Args:
        pad_size_divisor: Padded sides are multiples of it. It must itself be a multiple of the
            head's stride and, where the head upsamples, of the backbone's; 32 suits every ResNet.
        **kwargs: Arguments of ``ImgDataPreprocessor``: ``mean``, ``std``, ``bgr_to_rgb``, ...
    """

    def __init__(self, *, pad_size_divisor: int = 32, **kwargs: Any) -> None:
        super().__init__(pad_size_divisor=pad_size_divisor, **kwargs)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalise and pad images to (N, 3, H, W); in training pad ``gt_density`` with them."""
        batch = super().forward(data, training)
        assert isinstance(batch, dict)
        height, width = batch["inputs"].shape[-2:]
        for sample in batch["data_samples"] or []:
            sample.set_metainfo({"batch_input_shape": (height, width)})
            if training and "gt_density" in sample:
                stride = sample.density_stride
                density = sample.gt_density
                below = math.ceil(height / stride) - density.shape[0]
                right = math.ceil(width / stride) - density.shape[1]
                sample.gt_density = F.pad(density, (0, right, 0, below))
        return batch
