"""Normalises and pads images into a batch."""

from __future__ import annotations

from typing import Any

from mmengine.model import ImgDataPreprocessor
from mmengine.registry import MODELS


@MODELS.register_module()
class CountingPreprocessor(ImgDataPreprocessor):
    """mmengine's image preprocessor, which tells samples the size that they were padded to.

    Args:
        pad_size_divisor: Padded sides are multiples of it. It must itself be a multiple of the
            head's stride and, where the head upsamples, of the backbone's; 32 suits every ResNet.
        **kwargs: Arguments of ``ImgDataPreprocessor``: ``mean``, ``std``, ``bgr_to_rgb``, ...
    """

    def __init__(self, *, pad_size_divisor: int = 32, **kwargs: Any) -> None:
        super().__init__(pad_size_divisor=pad_size_divisor, **kwargs)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalise and pad images to (N, 3, H, W)."""
        batch = super().forward(data, training)
        assert isinstance(batch, dict)
        height, width = batch["inputs"].shape[-2:]
        for sample in batch["data_samples"] or []:
            sample.set_metainfo({"batch_input_shape": (height, width)})
        return batch
