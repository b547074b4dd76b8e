"""The classes of residual blocks that :func:`~ean_transfer.attachment.families.blocks_of` knows.

To add a family of networks, add its block to :data:`KNOWN_BLOCKS`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class KnownBlock:
    """Where a class of blocks has its parts.

    Args:
        family: Label of the family in the network's name.
        end: Attribute of a block: the module whose output is the residual branch.
        channels: Attribute of a block: the number of channels of that output.
        addition: Attribute of a block that is true or a module if the block adds its branch to a
            shortcut; ``None``: all blocks of the class do.
        optional_end: Attribute of a block: a module that ends the branch instead where it is there,
            such as an attention of the block's own.
        channels_first: Whether the end's output is (N, C, H, W), and not (N, H, W, C); or the name
            of a block's attribute that says so.
        grouped: Attribute of a ResNet's block: the convolution whose groups and width are in the
            network's name.
    """

    family: str
    end: str
    channels: str
    addition: str | None = None
    optional_end: str | None = None
    channels_first: bool | str = True
    grouped: str = "conv2"


BASIC, BOTTLENECK = "resnet_basic", "resnet_bottleneck"
MBCONV, DSCONV, CONV = "mbconv", "dsconv", "conv"
"""Labels of timm's blocks that MobileNets and EfficientNets share."""

# Networks of equal architecture have one label in all libraries, so that a ticket fits them all.
_TORCHVISION = {
    "resnet.BasicBlock": KnownBlock(BASIC, "bn2", "conv2.out_channels"),
    "resnet.Bottleneck": KnownBlock(BOTTLENECK, "bn3", "conv3.out_channels"),
    "regnet.ResBottleneckBlock": KnownBlock("regnet", "f", "f.c.0.out_channels"),
    "mobilenetv2.InvertedResidual": KnownBlock(
        "mobilenet_v2", "conv", "out_channels", addition="use_res_connect"
    ),
    "mobilenetv3.InvertedResidual": KnownBlock(
        "mobilenet_v3", "block", "out_channels", addition="use_res_connect"
    ),
    "efficientnet.MBConv": KnownBlock(
        "efficientnet", "block", "out_channels", addition="use_res_connect"
    ),
    "efficientnet.FusedMBConv": KnownBlock(
        "efficientnet", "block", "out_channels", addition="use_res_connect"
    ),
    "convnext.CNBlock": KnownBlock("convnext", "block", "block.0.out_channels"),
}

_SENET = KnownBlock(BOTTLENECK, "bn3", "conv3.out_channels", optional_end="se_module")

_TIMM = {
    "resnet.BasicBlock": KnownBlock(BASIC, "bn2", "conv2.out_channels", optional_end="se"),
    "resnet.Bottleneck": KnownBlock(BOTTLENECK, "bn3", "conv3.out_channels", optional_end="se"),
    # Pre-activation: the branch ends in a convolution.
    "resnetv2.PreActBasic": KnownBlock("resnetv2_basic", "conv2", "conv2.out_channels"),
    "resnetv2.PreActBottleneck": KnownBlock("resnetv2_bottleneck", "conv3", "conv3.out_channels"),
    "resnetv2.Bottleneck": KnownBlock("resnetv2_postact", "norm3", "conv3.out_channels"),
    "regnet.Bottleneck": KnownBlock(
        "regnet", "conv3", "conv3.conv.out_channels", addition="downsample"
    ),
    "regnet.PreBottleneck": KnownBlock(
        "regnet_preact", "conv3", "conv3.out_channels", addition="downsample"
    ),
    "_efficientnet_blocks.ConvBnAct": KnownBlock(
        CONV, "bn1", "conv.out_channels", addition="has_skip"
    ),
    "_efficientnet_blocks.DepthwiseSeparableConv": KnownBlock(
        DSCONV, "bn2", "conv_pw.out_channels", addition="has_skip"
    ),
    "_efficientnet_blocks.InvertedResidual": KnownBlock(
        MBCONV, "bn3", "conv_pwl.out_channels", addition="has_skip"
    ),
    "_efficientnet_blocks.EdgeResidual": KnownBlock(
        MBCONV, "bn2", "conv_pwl.out_channels", addition="has_skip"
    ),
    "_efficientnet_blocks.UniversalInvertedResidual": KnownBlock(
        "uib",
        "pw_proj",
        "pw_proj.conv.out_channels",
        addition="has_skip",
        optional_end="dw_end",
    ),
    "byobnet.BasicBlock": KnownBlock(
        "byobnet_basic",
        "conv2_kxk",
        "conv2_kxk.conv.out_channels",
        addition="shortcut",
        optional_end="attn_last",
    ),
    "byobnet.BottleneckBlock": KnownBlock(
        "byobnet_bottleneck",
        "conv3_1x1",
        "conv3_1x1.conv.out_channels",
        addition="shortcut",
        optional_end="attn_last",
    ),
    "byobnet.DarkBlock": KnownBlock(
        "byobnet_dark",
        "conv2_kxk",
        "conv2_kxk.conv.out_channels",
        addition="shortcut",
        optional_end="attn_last",
    ),
    "byobnet.EdgeBlock": KnownBlock(
        "byobnet_edge",
        "conv2_1x1",
        "conv2_1x1.conv.out_channels",
        addition="shortcut",
        optional_end="attn_last",
    ),
    "byobnet.SelfAttnBlock": KnownBlock(
        "byobnet_selfattn", "conv3_1x1", "conv3_1x1.conv.out_channels", addition="shortcut"
    ),
    "convnext.ConvNeXtBlock": KnownBlock(
        "convnext",
        "mlp",
        "conv_dw.out_channels",
        channels_first="use_conv_mlp",
    ),
    "inception_next.MetaNeXtBlock": KnownBlock("inception_next", "mlp", "mlp.fc2.out_channels"),
    "starnet.Block": KnownBlock("starnet", "dwconv2", "dwconv2.conv.out_channels"),
    "nfnet.NormFreeBlock": KnownBlock(
        "nfnet", "conv3", "conv3.out_channels", optional_end="attn_last"
    ),
    "res2net.Bottle2neck": KnownBlock("res2net", "bn3", "conv3.out_channels", optional_end="se"),
    "resnest.ResNestBottleneck": KnownBlock("resnest", "bn3", "conv3.out_channels"),
    "sknet.SelectiveKernelBasic": KnownBlock(
        "sknet_basic", "conv2", "conv2.conv.out_channels", optional_end="se"
    ),
    "sknet.SelectiveKernelBottleneck": KnownBlock(
        "sknet_bottleneck", "conv3", "conv3.conv.out_channels", optional_end="se"
    ),
    "tresnet.BasicBlock": KnownBlock(
        "tresnet_basic", "conv2", "conv2.conv.out_channels", optional_end="se"
    ),
    "tresnet.Bottleneck": KnownBlock("tresnet_bottleneck", "conv3", "conv3.conv.out_channels"),
    "senet.SEResNetBlock": KnownBlock(BASIC, "bn2", "conv2.out_channels", optional_end="se_module"),
    "senet.SEBottleneck": _SENET,
    "senet.SEResNetBottleneck": _SENET,
    "senet.SEResNeXtBottleneck": _SENET,
    "cspnet.BottleneckBlock": KnownBlock(
        "cspnet_bottleneck", "conv3", "conv3.conv.out_channels", optional_end="attn3"
    ),
    "cspnet.DarkBlock": KnownBlock("cspnet_dark", "conv2", "conv2.conv.out_channels"),
    "cspnet.EdgeBlock": KnownBlock("cspnet_edge", "conv2", "conv2.conv.out_channels"),
    "dla.DlaBasic": KnownBlock("dla_basic", "bn2", "conv2.out_channels"),
    "dla.DlaBottleneck": KnownBlock("dla_bottleneck", "bn3", "conv3.out_channels"),
    "dla.DlaBottle2neck": KnownBlock("dla_bottle2neck", "bn3", "conv3.out_channels"),
    "rexnet.LinearBottleneck": KnownBlock(
        "rexnet", "conv_pwl", "conv_pwl.conv.out_channels", addition="use_shortcut"
    ),
}

# Each layer of these ResNets and RegNets is a convolution, a normalisation and an activation.
_RESNET_BASIC = KnownBlock(
    BASIC,
    "layer.1.normalization",
    "layer.1.convolution.out_channels",
    grouped="layer.1.convolution",
)
_RESNET_BOTTLENECK = KnownBlock(
    BOTTLENECK,
    "layer.2.normalization",
    "layer.2.convolution.out_channels",
    grouped="layer.1.convolution",
)
_CONVNEXT = KnownBlock("convnext", "pwconv2", "dwconv.out_channels", channels_first=False)

_TRANSFORMERS = {
    "resnet.modeling_resnet.ResNetBasicLayer": _RESNET_BASIC,
    "resnet.modeling_resnet.ResNetBottleNeckLayer": _RESNET_BOTTLENECK,
    "rt_detr.modeling_rt_detr_resnet.RTDetrResNetBasicLayer": _RESNET_BASIC,
    "rt_detr.modeling_rt_detr_resnet.RTDetrResNetBottleNeckLayer": _RESNET_BOTTLENECK,
    "regnet.modeling_regnet.RegNetXLayer": KnownBlock(
        "regnet", "layer.2.normalization", "layer.2.convolution.out_channels"
    ),
    "regnet.modeling_regnet.RegNetYLayer": KnownBlock(
        "regnet", "layer.3.normalization", "layer.3.convolution.out_channels"
    ),
    "bit.modeling_bit.BitPreActivationBottleneckLayer": KnownBlock(
        "resnetv2_bottleneck", "conv3", "conv3.out_channels"
    ),
    "bit.modeling_bit.BitBottleneckLayer": KnownBlock(
        "resnetv2_postact", "norm3", "conv3.out_channels"
    ),
    "mobilenet_v2.modeling_mobilenet_v2.MobileNetV2InvertedResidual": KnownBlock(
        "mobilenet_v2",
        "reduce_1x1.normalization",
        "reduce_1x1.convolution.out_channels",
        addition="use_residual",
    ),
    "efficientnet.modeling_efficientnet.EfficientNetBlock": KnownBlock(
        "efficientnet",
        "projection.project_bn",
        "projection.project_conv.out_channels",
        addition="projection.apply_dropout",
    ),
    "convnext.modeling_convnext.ConvNextLayer": _CONVNEXT,
    "convnextv2.modeling_convnextv2.ConvNextV2Layer": _CONVNEXT,
    "dinov3_convnext.modeling_dinov3_convnext.DINOv3ConvNextLayer": KnownBlock(
        "convnext", "pointwise_conv2", "depthwise_conv.out_channels", channels_first=False
    ),
}

# Its own encoders; its others are those of torchvision and timm.
_SEGMENTATION_MODELS = {
    "_efficientnet.MBConvBlock": KnownBlock(
        "efficientnet", "_bn2", "_project_conv.out_channels", addition="_has_drop_connect"
    ),
    "_senet.SEBottleneck": _SENET,
    "_senet.SEResNetBottleneck": _SENET,
    "_senet.SEResNeXtBottleneck": _SENET,
}

# By the classes' names: the libraries need not be installed, and importing one takes seconds.
KNOWN_BLOCKS = {
    **{f"torchvision.models.{name}": known for name, known in _TORCHVISION.items()},
    **{f"timm.models.{name}": known for name, known in _TIMM.items()},
    **{f"transformers.models.{name}": known for name, known in _TRANSFORMERS.items()},
    **{
        f"segmentation_models_pytorch.encoders.{name}": known
        for name, known in _SEGMENTATION_MODELS.items()
    },
}


def known_block(module: nn.Module) -> KnownBlock | None:
    """The entry of a module's class or of one of its bases; ``None`` if it is no known block."""
    names = class_names(module)
    return next((KNOWN_BLOCKS[name] for name in names if name in KNOWN_BLOCKS), None)


def class_names(module: nn.Module) -> list[str]:
    """The full names of a module's class and of its bases."""
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__]
