"""The residual blocks of torchvision, timm and transformers, which a ticket's bits stand for.

Which classes of blocks are known is in :mod:`~ean_transfer.attachment.known_blocks`. A block is
recognised by its class, so subclasses and networks that contain such blocks (a segmentation or
detection model with a ResNet inside) are read as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from torch import nn

from ean_transfer.attachment.known_blocks import (
    BASIC,
    BOTTLENECK,
    CONV,
    DSCONV,
    MBCONV,
    KnownBlock,
    known_block,
)
from ean_transfer.errors import ConfigError


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
        channel_dim: Dimension of the channels in the end's output: 1, or 3 if that is
            (N, H, W, C), as in a ConvNeXt of timm.
        is_named: Whether it is a module that a user named, and not a block that was found.
    """

    name: str
    stage: int
    channels: int
    family: str
    module: nn.Module = field(repr=False, compare=False)
    end: nn.Module = field(repr=False, compare=False)
    channel_dim: int = field(default=1, repr=False, compare=False)
    is_named: bool = field(default=False, repr=False, compare=False)


def blocks_of(model: nn.Module) -> list[ResidualBlock]:
    """The residual blocks that a ticket's bits stand for, first stage first.

    Only blocks with an addition count; some blocks of a MobileNet or EfficientNet have no skip.
    In a network that has none with an addition (PP-LCNet, MobileNetV1), all blocks count, unless
    they are only single layers (``ConvBnAct``), as in a GhostNet.

    Blocks are listed in the order in which the model registers them, which is forward order in all
    known families. A stage is a run of such blocks with the same parent and the same number of
    channels; a block without a skip ends a run. So the stages are ``layer1`` ... ``layer4`` of a
    ResNet, ``block1`` ... ``block4`` of a RegNet, ``features[1, 3, 5, 7]`` of a ConvNeXt,
    ``features[i]`` of an EfficientNet if it has a block with a skip, and the runs of equal blocks
    of a MobileNet.

    Raises:
        ConfigError: The model has no such block.
    """
    blocks = known_blocks_of(model)
    if not blocks:
        raise ConfigError(
            f"{type(model).__name__} has no residual block to attach attention to: looked for "
            "those of torchvision, timm and transformers that docs/networks.md lists; a model that "
            "was traced, scripted or exported has lost them: attach() before that; for other "
            "networks name the places, attach(at=...), among those that places_of(model) lists"
        )
    return blocks


def known_blocks_of(model: nn.Module) -> list[ResidualBlock]:
    """As :func:`blocks_of`, but an empty list if the model has none."""
    known = [(name, m, entry) for name, m in model.named_modules() if (entry := known_block(m))]
    with_addition = any(_adds(module, entry) for _, module, entry in known)
    if not with_addition and all(entry.family == CONV for *_, entry in known):
        return []  # single layers of a network whose blocks are of unknown classes (GhostNet)
    blocks: list[ResidualBlock] = []
    stage, previous = -1, None  # the run that the last block belongs to
    for name, module, entry in known:
        if with_addition and not _adds(module, entry):
            previous = None
            continue
        channels = attrgetter(entry.channels)(module)
        run = (name.rpartition(".")[0], channels)
        if run != previous:
            stage, previous = stage + 1, run
        blocks.append(_block(name, stage, channels, module, entry))
    return blocks


def _adds(module: nn.Module, entry: KnownBlock) -> bool:
    """Whether a block adds its branch to a shortcut."""
    addition = True if entry.addition is None else attrgetter(entry.addition)(module)
    return addition is not None and addition is not False


def _block(
    name: str, stage: int, channels: int, module: nn.Module, entry: KnownBlock
) -> ResidualBlock:
    end = attrgetter(entry.end)(module)
    optional = getattr(module, entry.optional_end) if entry.optional_end else None
    if optional is not None and not isinstance(optional, nn.Identity):
        end = optional
    channels_first = entry.channels_first
    if isinstance(channels_first, str):
        channels_first = getattr(module, channels_first)
    channel_dim = 1 if channels_first else 3
    return ResidualBlock(name, stage, channels, entry.family, module, end, channel_dim)


def stages_of(blocks: Sequence[ResidualBlock]) -> list[list[ResidualBlock]]:
    """The blocks of each stage."""
    return [list(stage) for _, stage in groupby(blocks, key=lambda block: block.stage)]


_RESNET_DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    (BASIC, (2, 2, 2, 2)): 18,
    (BASIC, (3, 4, 6, 3)): 34,
    (BOTTLENECK, (3, 4, 6, 3)): 50,
    (BOTTLENECK, (3, 4, 23, 3)): 101,
    (BOTTLENECK, (3, 8, 36, 3)): 152,
}
_RESNET_CHANNELS = {BASIC: (64, 128, 256, 512), BOTTLENECK: (256, 512, 1024, 2048)}


def backbone_name(blocks: Sequence[ResidualBlock]) -> str:
    """The network's name in tickets, equal for equal architectures.

    A ResNet of a published depth has torchvision's name, whatever its stem, dilations and head:
    ``"resnet50"`` (He et al. 2016), ``"resnext50_32x4d"`` (Xie et al. 2017), ``"wide_resnet50_2"``
    (Zagoruyko and Komodakis 2016). All others are named by family and channels per stage:
    ``"convnext_96-192-384-768"``; other ResNets also by groups and channels per group:
    ``"resnet_bottleneck_1x64d_256-512-1024"``. An attention that the library built into the blocks
    is appended: ``"resnet50_SEModule"``.
    """
    stages = stages_of(blocks)
    kind = _kind(blocks)
    channels = tuple(stage[0].channels for stage in stages)
    listed = "-".join(map(str, channels))
    if kind not in _RESNET_CHANNELS:
        return f"{kind}_{listed}"
    first = blocks[0].module
    entry: Any = known_block(first)  # as its kind is that of a ResNet
    conv = attrgetter(entry.grouped)(first)
    groups = conv.groups
    width = conv.out_channels // groups
    depth = _RESNET_DEPTHS.get((kind, tuple(map(len, stages))))
    if depth is None or channels != _RESNET_CHANNELS[kind] or (groups == 1 and width % 64):
        name = f"{kind}_{groups}x{width}d_{listed}"
    elif groups > 1:
        name = f"resnext{depth}_{groups}x{width}d"
    elif width > 64:
        name = f"wide_resnet{depth}_{width // 64}"
    else:
        name = f"resnet{depth}"
    built_in = getattr(first, entry.optional_end) if entry.optional_end else None
    return name if built_in is None else f"{name}_{type(built_in).__name__}"


def _kind(blocks: Sequence[ResidualBlock]) -> str:
    """The family of a network.

    timm builds MobileNets and EfficientNets of the same classes of blocks, torchvision has classes
    for each. So that a ticket fits the same network of each library, timm's are told apart by
    what their blocks contain.
    """
    families = list(dict.fromkeys(block.family for block in blocks))
    if MBCONV not in families or not {MBCONV, DSCONV, CONV}.issuperset(families):
        return "+".join(families)
    parts = [part for block in blocks for part in block.module.modules()]
    names = {type(part).__name__.lower() for part in parts}
    if not names.isdisjoint({"silu", "swish", "swishme"}):
        return "efficientnet"
    if not names.isdisjoint({"hardswish", "hardswishme"}):
        return "mobilenet_v3"
    if "relu6" in names and "squeezeexcite" not in names:
        large = any(max(_kernel_size(part)) > 3 for part in parts)
        return "efficientnet_lite" if large else "mobilenet_v2"
    return MBCONV


def _kernel_size(layer: nn.Module) -> tuple[int, ...]:
    return layer.kernel_size if isinstance(layer, nn.Conv2d) else (0,)
