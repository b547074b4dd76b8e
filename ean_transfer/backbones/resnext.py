"""Ticketed ResNeXts, for ImageNet-sized and for CIFAR-sized images."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS

from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.blocks import TicketResNeXtBottleneck
from ean_transfer.backbones.resnet_cifar import CIFARTicketBackbone
from ean_transfer.backbones.stage import TicketStage
from ean_transfer.backbones.ticketed import TicketBackbone
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.architectures import RESNEXT, RESNEXT_CIFAR, layout_of


class GroupedTicketBackbone(TicketBackbone):
    """Base of the backbones whose 3x3 convolutions have groups.

    Args:
        *args: Positional arguments of the backbone's other base.
        groups: Number of groups of the 3x3 convolutions (the paper's cardinality C), at least 2.
        width_per_group: Channels per group in the first stage (the paper's d).
        **kwargs: Keyword arguments of the backbone's other base.
    """

    def __init__(self, *args: Any, groups: int, width_per_group: int, **kwargs: Any) -> None:
        if groups < 2:  # mmpretrain's blocks would ignore the width
            raise ConfigError(
                f"ResNeXt has at least 2 groups, found {groups}: with one it is ResNet"
            )
        # Set before the layers are built, as make_res_layer needs them.
        self.groups = groups
        self.width_per_group = width_per_group
        super().__init__(*args, **kwargs)

    def make_res_layer(self, **kwargs: Any) -> TicketStage:
        return super().make_res_layer(
            groups=self.groups,
            width_per_group=self.width_per_group,
            base_channels=self.base_channels,
            **kwargs,
        )


@MODELS.register_module()
class TicketResNeXt(GroupedTicketBackbone):
    """ResNeXt (Xie et al. 2017, arXiv 1611.05431) whose ticketed blocks carry attention.

    ``(N, 3, H, W)`` to a tuple of maps, one for each of ``out_indices``. Loads torchvision's
    weights.

    Args:
        depth: 50, 101 or 152.
        attention, sharing, ticket, **kwargs: See :class:`TicketBackbone`.
        groups: Number of groups of the 3x3 convolutions (the paper's cardinality C), at least 2.
        width_per_group: Channels per group in the first stage (the paper's d): 32x4d is 32 and 4.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        *,
        groups: int = 32,
        width_per_group: int = 4,
        **kwargs: Any,
    ) -> None:
        _, blocks = layout_of(RESNEXT, depth)
        super().__init__(
            RESNEXT.format(depth=depth, groups=groups, width_per_group=width_per_group),
            depth,
            TicketResNeXtBottleneck,
            blocks,
            attention,
            sharing,
            ticket,
            groups=groups,
            width_per_group=width_per_group,
            **kwargs,
        )


@MODELS.register_module()
class TicketResNeXtCIFAR(GroupedTicketBackbone, CIFARTicketBackbone):
    """The CIFAR ResNeXt (Xie et al. 2017, arXiv 1611.05431, section 5.3) whose ticketed blocks
    carry attention.

    A stem of 64 channels and three stages of 256, 512 and 1024.

    Args:
        depth: 9n + 2, such as 29 and 101.
        attention, sharing, ticket, **kwargs: See :class:`CIFARTicketBackbone`.
        groups: Number of groups of the 3x3 convolutions (the paper's cardinality C), at least 2.
        width_per_group: Channels per group in the first stage (the paper's d): 8x64d is 8 and 64.
        base_channels: Number of channels of the stem; the first stage has four times as many. The
            groups do not depend on it. DIANet's ResNeXt-101, 8x32 (Huang 2020, arXiv 1905.10671)
            has 32.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        *,
        groups: int = 8,
        width_per_group: int = 64,
        base_channels: int = 64,
        **kwargs: Any,
    ) -> None:
        _, blocks = layout_of(RESNEXT_CIFAR, depth)
        super().__init__(
            RESNEXT_CIFAR.format(depth=depth, groups=groups, width_per_group=width_per_group),
            depth,
            TicketResNeXtBottleneck,
            blocks,
            attention,
            sharing,
            ticket,
            groups=groups,
            width_per_group=width_per_group,
            base_channels=base_channels,
            **kwargs,
        )
