"""Ticketed ResNets for ImageNet-sized images, on mmpretrain's ResNet."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS
from mmpretrain.models import ResNet

from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.stage import TicketBasicBlock, TicketBottleneck
from ean_transfer.backbones.ticketed import TicketedResNet, TicketSpec
from ean_transfer.errors import ConfigError


@MODELS.register_module()
class TicketResNet(TicketedResNet, ResNet):
    """ResNet (He et al. 2016) whose ticketed blocks carry attention.

    With ticket ``"none"`` it equals mmpretrain's ResNet key for key and value for value, and loads
    torchvision's weights. ``(N, 3, H, W)`` to a tuple of maps, one for each of ``out_indices``.

    Args:
        depth: 18, 34, 50, 101 or 152.
        attention: ``"SE"``, ``dict(type="SE", reduction=8)``, or ``None`` for the plain network.
        sharing: ``"stage"``: one module a stage; ``"block"``: one a connected block.
        ticket: ``"none"``, ``"full"``, a Ticket, a ticket file's path, or ``"zoo:NAME"``; ``None``
            means ``"full"`` where there is an attention and ``"none"`` where there is not.
        **kwargs: mmpretrain's ResNet's: out_indices, strides, dilations, frozen_stages, norm_eval,
            with_cp, init_cfg ... mmpretrain's ResNet takes ``num_stages=3`` to leave the last stage
            out; the ticket's bits for it are then unused, and a log line says so.

    Raises:
        ConfigError: For an unknown depth, attention or option.
        TicketError: If the ticket does not fit.
    """

    arch_settings = {
        18: (TicketBasicBlock, (2, 2, 2, 2)),
        34: (TicketBasicBlock, (3, 4, 6, 3)),
        50: (TicketBottleneck, (3, 4, 6, 3)),
        101: (TicketBottleneck, (3, 4, 23, 3)),
        152: (TicketBottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str = "stage",
        ticket: TicketSpec | None = None,
        **kwargs: Any,
    ) -> None:
        if depth not in self.arch_settings:
            known = ", ".join(map(str, self.arch_settings))
            raise ConfigError(f"TicketResNet has depths {known}, found {depth}")
        self.backbone_name = f"resnet{depth}"
        self._prepare(self.arch_settings[depth][1], attention, sharing, ticket)
        super().__init__(depth, **kwargs)
        self._report_unused_bits()
