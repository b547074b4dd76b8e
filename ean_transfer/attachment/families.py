"""The residual blocks of torchvision's and timm's networks, which a ticket's bits stand for.

Known are torchvision's ResNet, Wide ResNet, ResNeXt, RegNet, MobileNetV2 and V3, EfficientNet V1
and V2 and ConvNeXt, and timm's ResNets. To add a family, add its block to ``_FAMILIES``.

A block is recognised by its class, so subclasses and networks that contain such blocks (a
segmentation or detection model with a ResNet inside) are read as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from torch import Tensor, nn

from ean_transfer.errors import ConfigError


@dataclass(frozen=True)
class _Family:
    """Where a class of blocks has its parts; each but the label names a block's attribute."""

    label: str  # the family in the backbone's name
    end: str  # the module whose output is the residual branch
    channels: str  # the number of channels of that output
    has_addition: str | None = None  # whether the block has a skip; None: always
    built_in: str | None = None  # an attention of the block's own after the end, which may be None
    scale: str | None = None  # multiplies the branch after its end, one value per channel


_BASIC, _BOTTLENECK = "resnet_basic", "resnet_bottleneck"

# By the classes' names: timm need not be installed, and importing torchvision takes a second.
_FAMILIES = {
    "torchvision.models.resnet.BasicBlock": _Family(_BASIC, "bn2", "conv2.out_channels"),
    "torchvision.models.resnet.Bottleneck": _Family(_BOTTLENECK, "bn3", "conv3.out_channels"),
    "timm.models.resnet.BasicBlock": _Family(_BASIC, "bn2", "conv2.out_channels", built_in="se"),
    "timm.models.resnet.Bottleneck": _Family(
        _BOTTLENECK, "bn3", "conv3.out_channels", built_in="se"
    ),
    "torchvision.models.regnet.ResBottleneckBlock": _Family("regnet", "f", "f.c.0.out_channels"),
    "torchvision.models.mobilenetv2.InvertedResidual": _Family(
        "mobilenet_v2", "conv", "out_channels", has_addition="use_res_connect"
    ),
    "torchvision.models.mobilenetv3.InvertedResidual": _Family(
        "mobilenet_v3", "block", "out_channels", has_addition="use_res_connect"
    ),
    "torchvision.models.efficientnet.MBConv": _Family(
        "efficientnet", "block", "out_channels", has_addition="use_res_connect"
    ),
    "torchvision.models.efficientnet.FusedMBConv": _Family(
        "efficientnet", "block", "out_channels", has_addition="use_res_connect"
    ),
    "torchvision.models.convnext.CNBlock": _Family(
        "convnext", "block", "block.0.out_channels", scale="layer_scale"
    ),
}

_RESNET_DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    (_BASIC, (2, 2, 2, 2)): 18,
    (_BASIC, (3, 4, 6, 3)): 34,
    (_BOTTLENECK, (3, 4, 6, 3)): 50,
    (_BOTTLENECK, (3, 4, 23, 3)): 101,
    (_BOTTLENECK, (3, 8, 36, 3)): 152,
}
_RESNET_CHANNELS = {_BASIC: (64, 128, 256, 512), _BOTTLENECK: (256, 512, 1024, 2048)}

_AFFINE = (
    nn.modules.batchnorm._BatchNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.Conv2d,
    nn.Linear,
)
_FROZEN_NORM = "torchvision.ops.misc.FrozenBatchNorm2d"


@dataclass(frozen=True)
class ResidualBlock:
    """A residual block, ``y = shortcut(x) + branch(x)``: what one bit of a ticket stands for.

    Args:
        name: Name of the block in the model, e.g. ``"layer1.0"``.
        stage: Number of the block's stage, from 0.
        channels: Number of channels of the branch's output.
        family: Label of the block's family, e.g. ``"resnet_bottleneck"``.
        module: The block itself.
        end: The module whose output is the branch.
        affine: The module that holds :attr:`last_affine`, and the names of its tensors.
    """

    name: str
    stage: int
    channels: int
    family: str
    module: nn.Module = field(repr=False, compare=False)
    end: nn.Module = field(repr=False, compare=False)
    affine: tuple[nn.Module, tuple[str, ...]] = field(repr=False, compare=False)

    @property
    def last_affine(self) -> tuple[Tensor, ...]:
        """The tensors that divide the branch by c if they are divided by c: its layer scale, else
        weight and bias of its last layer; empty if that layer is not affine."""
        # Looked up at each call: moving to a device replaces buffers, loading may replace
        # parameters.
        module, names = self.affine
        tensors = (getattr(module, name) for name in names)
        return tuple(tensor for tensor in tensors if tensor is not None)


def blocks_of(model: nn.Module) -> list[ResidualBlock]:
    """The residual blocks that a ticket's bits stand for, first stage first.

    Only blocks with an addition count; some blocks of a MobileNet or EfficientNet have no skip.
    Blocks are listed in the order in which the model registers them, which is forward order in all
    known families. A stage is a run of such blocks with the same parent and the same number of
    channels; a block without a skip ends a run. So the stages are ``layer1`` ... ``layer4`` of a
    ResNet, ``block1`` ... ``block4`` of a RegNet, ``features[1, 3, 5, 7]`` of a ConvNeXt,
    ``features[i]`` of an EfficientNet if it has a block with a skip, and the runs of equal blocks
    of a MobileNet.

    Raises:
        ConfigError: The model has no such block.
    """
    blocks: list[ResidualBlock] = []
    stage, previous = -1, None  # the run that the last block belongs to
    for name, module in model.named_modules():
        family = _family_of(module)
        if family is None:
            continue
        if family.has_addition is not None and not attrgetter(family.has_addition)(module):
            previous = None
            continue
        channels = attrgetter(family.channels)(module)
        run = (name.rpartition(".")[0], channels)
        if run != previous:
            stage, previous = stage + 1, run
        end = attrgetter(family.end)(module)
        if family.built_in and (built_in := getattr(module, family.built_in)) is not None:
            end = built_in
        affine = (module, (family.scale,)) if family.scale else _last_affine(end)
        blocks.append(ResidualBlock(name, stage, channels, family.label, module, end, affine))
    if not blocks:
        raise ConfigError(
            f"{type(model).__name__} has no residual block to attach attention to: looked for "
            f"{', '.join(_FAMILIES)}; a model that was traced, scripted or exported has lost them: "
            "attach() before that"
        )
    return blocks


def stages_of(blocks: Sequence[ResidualBlock]) -> list[list[ResidualBlock]]:
    """The blocks of each stage."""
    return [list(stage) for _, stage in groupby(blocks, key=lambda block: block.stage)]


def backbone_name(blocks: Sequence[ResidualBlock]) -> str:
    """The network's name in tickets, equal for equal architectures.

    A ResNet of a published depth has torchvision's name, whatever its stem, dilations and head:
    ``"resnet50"`` (He et al. 2016), ``"resnext50_32x4d"`` (Xie et al. 2017), ``"wide_resnet50_2"``
    (Zagoruyko and Komodakis 2016). All others are named by family and channels per stage:
    ``"convnext_96-192-384-768"``; other ResNets also by groups and channels per group:
    ``"resnet_bottleneck_1x64d_256-512-1024"``. An attention that timm built into the blocks is
    appended: ``"resnet50_SEModule"``.
    """
    stages = stages_of(blocks)
    kind = "+".join(dict.fromkeys(block.family for block in blocks))
    channels = tuple(stage[0].channels for stage in stages)
    listed = "-".join(map(str, channels))
    if kind not in _RESNET_CHANNELS:
        return f"{kind}_{listed}"
    first: Any = blocks[0].module
    groups = first.conv2.groups
    width = first.conv2.out_channels // groups
    depth = _RESNET_DEPTHS.get((kind, tuple(map(len, stages))))
    if depth is None or channels != _RESNET_CHANNELS[kind] or (groups == 1 and width % 64):
        name = f"{kind}_{groups}x{width}d_{listed}"
    elif groups > 1:
        name = f"resnext{depth}_{groups}x{width}d"
    elif width > 64:
        name = f"wide_resnet{depth}_{width // 64}"
    else:
        name = f"resnet{depth}"
    built_in = getattr(first, "se", None)
    return name if built_in is None else f"{name}_{type(built_in).__name__}"


def _family_of(module: nn.Module) -> _Family | None:
    return next((_FAMILIES[name] for name in _class_names(module) if name in _FAMILIES), None)


def _class_names(module: nn.Module) -> list[str]:
    """The full names of a module's class and of its bases."""
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__]


def _last_affine(branch: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    while isinstance(branch, nn.Sequential):
        branch = branch[-1]
    is_affine = isinstance(branch, _AFFINE) or _FROZEN_NORM in _class_names(branch)
    return branch, ("weight", "bias") if is_affine else ()
