"""CSRNet (Li et al., CVPR 2018): VGG-16 to conv4_3, six dilated convolutions; output stride 8.

Without batch normalisation, as published. The published network starts from ImageNet weights: pass
mmpretrain's VGG-16 checkpoint to --weights.
"""

from mmengine.model import NormalInit
from mmpretrain.models import VGG

from ean_transfer.crowd_counting import CountingPreprocessor, DensityCounter, DensityHead

stride = 8  # pixels per cell of the density map
model = dict(
    type=DensityCounter,
    data_preprocessor=dict(
        type=CountingPreprocessor,
        pad_size_divisor=8,
        mean=[123.675, 116.28, 103.53],  # RGB, ImageNet's
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type=VGG,
        depth=16,
        num_stages=4,
        dilations=(1, 1, 1, 1),
        out_indices=(3,),
        with_last_pool=False,
    ),
    head=dict(
        type=DensityHead,
        channels=(512, 512, 512, 256, 128, 64),
        dilation=2,
        stride=stride,
        init_cfg=dict(type=NormalInit, std=0.01, layer="Conv2d"),
    ),
)
