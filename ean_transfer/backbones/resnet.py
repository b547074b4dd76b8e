"""Ticketed ResNets for ImageNet-sized images, on mmpretrain's ResNet."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS

from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.blocks import TicketBasicBlock, TicketBottleneck
from ean_transfer.backbones.ticketed import TicketBackbone
from ean_transfer.ticket.architectures import RESNET, layout_of


@MODELS.register_module()
class TicketResNet(TicketBackbone):
    """ResNet (He et al. 2016) whose ticketed blocks carry attention.

    ``(N, 3, H, W)`` to a tuple of maps, one for each of ``out_indices``. Loads torchvision's
    weights.

    The variants of "Bag of Tricks" (He et al. 2019, arXiv 1812.01187) have the same blocks and the
    same tickets: ``deep_stem=True`` is mmpretrain's ResNetV1c (three 3x3 convolutions for the 7x7
    one), and ``deep_stem=True, avg_down=True`` is ResNetV1d, also called ResNet-D (shortcuts are
    averaged over 2x2 before a projection without stride).

    Args:
        depth: 18, 34, 50, 101 or 152.
        attention, sharing, ticket, **kwargs: See :class:`TicketBackbone`.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        **kwargs: Any,
    ) -> None:
        kind, blocks = layout_of(RESNET, depth)
        super().__init__(
            RESNET.format(depth=depth),
            depth,
            TicketBottleneck if kind == "bottleneck" else TicketBasicBlock,
            blocks,
            attention,
            sharing,
            ticket,
            **kwargs,
        )
