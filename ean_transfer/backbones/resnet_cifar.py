"""Ticketed ResNets for CIFAR-sized images: three stages, 3x3 stem, no pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.registry import MODELS
from mmpretrain.models import ResNet_CIFAR

from ean_transfer.architectures import BLOCKS, CIFAR_BASIC_DEPTHS, CIFAR_BOTTLENECK_DEPTHS
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.stage import TicketBasicBlock, TicketBottleneck
from ean_transfer.backbones.ticketed import TicketedResNet, TicketSpec
from ean_transfer.errors import ConfigError


@MODELS.register_module()
class TicketResNetCIFAR(TicketedResNet, ResNet_CIFAR):
    """The CIFAR ResNet (He et al. 2016, section 4.2) whose ticketed blocks carry attention.

    Three stages of 16, 32 and 64 channels (four times that with bottlenecks), at strides 1, 2 and
    4. Where the shape changes the shortcut is a 1x1 convolution (He's option B).

    Args:
        depth: 8, 14, 20, 32, 44, 56 or 110 with basic blocks, 164 with bottlenecks.
        attention: ``"SE"``, ``dict(type="SE", reduction=4)``, or ``None`` for the plain network.
        sharing: ``"stage"``: one module a stage; ``"block"``: one a connected block.
        ticket: As for :class:`~ean_transfer.backbones.TicketResNet`.
        base_channels: Channels of the first stage before any expansion; also of the stem.
        strides: Stride of each stage's first block.
        dilations: Dilation of each stage.
        out_indices: Stages whose maps are returned, counted from 0.
        **kwargs: mmpretrain's ResNet's (frozen_stages, norm_eval, with_cp, init_cfg ...).

    Raises:
        ConfigError: For an unknown depth, attention or option.
        TicketError: If the ticket does not fit.
    """

    arch_settings = {
        depth: (TicketBasicBlock, BLOCKS[f"resnet{depth}_cifar"]) for depth in CIFAR_BASIC_DEPTHS
    } | {
        depth: (TicketBottleneck, BLOCKS[f"resnet{depth}_cifar"])
        for depth in CIFAR_BOTTLENECK_DEPTHS
    }

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str = "stage",
        ticket: TicketSpec | None = None,
        *,
        base_channels: int = 16,
        strides: Sequence[int] = (1, 2, 2),
        dilations: Sequence[int] = (1, 1, 1),
        out_indices: Sequence[int] = (2,),
        **kwargs: Any,
    ) -> None:
        if depth not in self.arch_settings:
            known = ", ".join(map(str, self.arch_settings))
            raise ConfigError(f"TicketResNetCIFAR has depths {known}, found {depth}")
        self.backbone_name = f"resnet{depth}_cifar"
        self._prepare(self.arch_settings[depth][1], attention, sharing, ticket)
        kwargs.setdefault("num_stages", len(strides))
        super().__init__(
            depth,
            stem_channels=base_channels,
            base_channels=base_channels,
            strides=strides,
            dilations=dilations,
            out_indices=out_indices,
            **kwargs,
        )
        self._report_unused_bits()
