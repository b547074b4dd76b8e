"""The counter's head: feature maps to a density map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from pydantic import SkipValidation
from torch import Tensor, nn

from ean_transfer.io.checked import Positive, PositiveNumber, checked_arguments


@MODELS.register_module()
class DensityHead(BaseModule):
    """3x3 convolutions with ReLU, optional bilinear upsampling, a 1x1 convolution, softplus.

    ``channels`` makes the usual heads: ``()`` is a 1x1 convolution alone, ``64`` one 3x3 and a 1x1,
    and ``(512, 512, 512, 256, 128, 64)`` with ``dilation=2`` CSRNet's back end (Li et al., CVPR
    2018). To fuse several stages, put a neck before the head, such as mmsegmentation's ``FPN``.

    The last function is softplus and not ReLU: both avoid negative outputs, but a ReLU that is zero
    everywhere, as most of a crowd image's target is, has no gradient and never recovers.

    Args:
        in_channels: Channels of the feature map that is read.
        channels: Output channels of each 3x3 convolution; a number means a single convolution.
        dilation: Dilation of the 3x3 convolutions.
        in_index: Index of the feature map that is read.
        upsample: Whole factor by which the features are enlarged.
        stride: Output stride, in pixels of the input per cell: the feature map's stride divided by
            ``upsample``. It must equal ``DensityMap``'s and is checked in forward.
        initial: Output of a new head, about, such as the data's mean density times the counter's
            ``density_factor``; 0.7 by default. Where objects are few that is many times too much,
            and the first steps bring the map to zero, where softplus has no gradient.
        init_cfg: Initial weights, see mmengine's ``BaseModule``.

    Raises:
        ConfigError: A number is not positive.
    """

    @checked_arguments
    def __init__(
        self,
        in_channels: int,
        channels: Positive | Sequence[Positive] = 64,
        dilation: Positive = 1,
        in_index: int = -1,
        upsample: Positive = 1,
        stride: Positive = 8,
        initial: PositiveNumber | None = None,
        init_cfg: SkipValidation[dict | list[dict] | None] = None,
    ) -> None:
        super().__init__(init_cfg)
        widths = (channels,) if isinstance(channels, int) else tuple(channels)
        self.in_index = in_index
        self.upsample = upsample
        self.stride = stride
        layers: list[nn.Module] = []
        for before, after in zip((in_channels, *widths), widths, strict=False):
            layers += [
                nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.density = nn.Conv2d((in_channels, *widths)[-1], 1, 1)
        if initial is not None and self.density.bias is not None:  # the second for its type
            nn.init.constant_(self.density.bias, math.log(math.expm1(initial)))  # softplus' inverse

    def forward(self, feature_maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C, H', W') of several stages -> (N, 1, upsample H', upsample W'), >= 0."""
        x = self.features(feature_maps[self.in_index])
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=self.upsample, mode="bilinear", align_corners=False)
        return F.softplus(self.density(x))
