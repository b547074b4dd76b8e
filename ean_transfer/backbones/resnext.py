"""Ticketed ResNeXts, for ImageNet-sized and for CIFAR-sized images."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS
from mmpretrain.models import ResNeXt

from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.blocks import TicketResNeXtBottleneck
from ean_transfer.backbones.resnet_cifar import CIFARTicketBackbone
from ean_transfer.backbones.stage import TicketStage
from ean_transfer.backbones.ticketed import TicketBackbone
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.architectures import RESNEXT, RESNEXT_CIFAR, layout_of


class _GroupedStages(TicketBackbone):
    """Gives a network's blocks their groups, as mmpretrain's ResNeXt does."""

    base_channels: int

    def _set_groups(self, groups: int, width_per_group: int) -> None:
        if groups < 2:  # mmpretrain's blocks then leave the width out
            raise ConfigError(
                f"ResNeXt has at least 2 groups, found {groups}: with one it is ResNet"
            )
        self.groups = groups
        self.width_per_group = width_per_group

    def make_res_layer(self, **kwargs: Any) -> TicketStage:
        return super().make_res_layer(
            groups=self.groups,
            width_per_group=self.width_per_group,
            base_channels=self.base_channels,
            **kwargs,
        )


@MODELS.register_module()
class TicketResNeXt(_GroupedStages, ResNeXt):
    """ResNeXt (Xie et al. 2017, arXiv 1611.05431) whose ticketed blocks carry attention.

    With ticket ``"none"`` it equals mmpretrain's ResNeXt key for key and value for value, and loads
    torchvision's weights. ``(N, 3, H, W)`` to a tuple of maps, one for each of ``out_indices``.

    Args:
        depth: 50, 101 or 152.
        attention: ``"SE"``, ``dict(type="SE", reduction=8)``, or ``None`` for the plain network.
        sharing: ``"stage"``: one module a stage; ``"block"``: one a connected block.
        ticket: As for :class:`~ean_transfer.backbones.TicketResNet`, and ``init`` and ``asr``.
        groups: Of the 3x3 convolutions (the paper's cardinality C), at least 2.
        width_per_group: Channels of a group in the first stage (the paper's d): 32x4d is 32 and 4.
        **kwargs: mmpretrain's ResNet's: out_indices, strides, dilations, frozen_stages, norm_eval,
            with_cp, init_cfg, num_stages ...

    Raises:
        ConfigError: For an unknown depth, attention, option or init, an attention that cannot start
            as the identity, or fewer than 2 groups.
        TicketError: If the ticket does not fit.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str = "stage",
        ticket: TicketSpec | None = None,
        *,
        groups: int = 32,
        width_per_group: int = 4,
        init: str = "default",
        asr: bool | str = False,
        **kwargs: Any,
    ) -> None:
        _, blocks = layout_of(RESNEXT, depth)
        self._set_groups(groups, width_per_group)
        self.arch_settings = {depth: (TicketResNeXtBottleneck, blocks)}
        self.backbone_name = RESNEXT.format(
            depth=depth, groups=groups, width_per_group=width_per_group
        )
        self._prepare(blocks, attention, sharing, ticket, init, asr)
        super().__init__(depth, groups=groups, width_per_group=width_per_group, **kwargs)
        self._report_unused_bits()


@MODELS.register_module()
class TicketResNeXtCIFAR(_GroupedStages, CIFARTicketBackbone):
    """The CIFAR ResNeXt (Xie et al. 2017, arXiv 1611.05431, section 5.3) whose ticketed blocks
    carry attention.

    A stem of 64 channels and three stages of 256, 512 and 1024.

    Args:
        depth: 9n + 2, such as 29 and 101.
        attention: ``"SE"``, ``dict(type="SE", reduction=4)``, or ``None`` for the plain network.
        sharing: ``"stage"``: one module a stage; ``"block"``: one a connected block.
        ticket: As for :class:`~ean_transfer.backbones.TicketResNet`.
        groups: Of the 3x3 convolutions (the paper's cardinality C), at least 2.
        width_per_group: Channels of a group in the first stage (the paper's d): 8x64d is 8 and 64.
        base_channels: Of the stem; four times that in the first stage. The groups do not depend on
            it. DIANet's ResNeXt-101, 8x32 (Huang 2020, arXiv 1905.10671) has 32.
        **kwargs: :class:`CIFARTicketBackbone`'s (init, asr, strides, dilations, out_indices) and
            mmpretrain's ResNet's (frozen_stages, norm_eval, with_cp, init_cfg ...).

    Raises:
        ConfigError: For an unknown depth, attention, option or init, an attention that cannot start
            as the identity, or fewer than 2 groups.
        TicketError: If the ticket does not fit.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str = "stage",
        ticket: TicketSpec | None = None,
        *,
        groups: int = 8,
        width_per_group: int = 64,
        base_channels: int = 64,
        **kwargs: Any,
    ) -> None:
        _, blocks = layout_of(RESNEXT_CIFAR, depth)
        self._set_groups(groups, width_per_group)
        super().__init__(
            RESNEXT_CIFAR.format(depth=depth, groups=groups, width_per_group=width_per_group),
            depth,
            TicketResNeXtBottleneck,
            blocks,
            attention,
            sharing,
            ticket,
            base_channels=base_channels,
            **kwargs,
        )
