"""Ticketed ResNets for CIFAR-sized images, and the base of all CIFAR backbones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.registry import MODELS
from mmpretrain.models import ResNet_CIFAR

from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.blocks import TicketBasicBlock, TicketBottleneck
from ean_transfer.backbones.ticketed import TicketBackbone
from ean_transfer.ticket.architectures import RESNET_CIFAR, layout_of


class CIFARTicketBackbone(TicketBackbone, ResNet_CIFAR):
    """Base of the backbones with three stages at strides 1, 2 and 4 after a 3x3 convolution.

    Each stage has twice the channels of the one before. Where the shape changes, the shortcut is a
    1x1 convolution (He's option B). ``(N, 3, H, W)`` to a tuple of maps, one for each of
    ``out_indices``.

    Args:
        *args: Positional arguments of :class:`TicketBackbone`.
        base_channels: Number of channels of the first stage before any expansion.
        stem_channels: Number of channels of the first convolution; ``base_channels`` by default.
        strides: Stride of each stage's first block.
        dilations: Dilation of each stage.
        out_indices: Stages whose maps are returned, counted from 0.
        **kwargs: Other arguments of :class:`TicketBackbone`.
    """

    def __init__(
        self,
        *args: Any,
        base_channels: int,
        stem_channels: int | None = None,
        strides: Sequence[int] = (1, 2, 2),
        dilations: Sequence[int] = (1, 1, 1),
        out_indices: Sequence[int] = (2,),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("num_stages", len(strides))
        super().__init__(
            *args,
            base_channels=base_channels,
            stem_channels=base_channels if stem_channels is None else stem_channels,
            strides=strides,
            dilations=dilations,
            out_indices=out_indices,
            **kwargs,
        )


@MODELS.register_module()
class TicketResNetCIFAR(CIFARTicketBackbone):
    """The CIFAR ResNet (He et al. 2016, section 4.2) whose ticketed blocks carry attention.

    Three stages of 16, 32 and 64 channels (four times that with bottlenecks).

    Args:
        depth: 6n + 2 with basic blocks, such as 8, 20, 56 and 110; else 9n + 2 with bottlenecks,
            such as 29 and 1001. 164 has bottlenecks, as published.
        attention, sharing, ticket, **kwargs: See :class:`CIFARTicketBackbone`.
        base_channels: Number of channels of the first stage before any expansion; also of the stem.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        *,
        base_channels: int = 16,
        **kwargs: Any,
    ) -> None:
        kind, blocks = layout_of(RESNET_CIFAR, depth)
        super().__init__(
            RESNET_CIFAR.format(depth=depth),
            depth,
            TicketBottleneck if kind == "bottleneck" else TicketBasicBlock,
            blocks,
            attention,
            sharing,
            ticket,
            base_channels=base_channels,
            **kwargs,
        )
