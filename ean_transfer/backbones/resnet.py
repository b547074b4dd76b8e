"""Ticketed ResNets for ImageNet-sized images, on mmpretrain's ResNet."""

from __future__ import annotations

from typing import Any

from mmengine.registry import MODELS
from mmpretrain.models import ResNet

from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.blocks import TicketBasicBlock, TicketBottleneck
from ean_transfer.backbones.ticketed import TicketBackbone
from ean_transfer.ticket.architectures import RESNET, layout_of


@MODELS.register_module()
class TicketResNet(TicketBackbone, ResNet):
    """ResNet (He et al. 2016) whose ticketed blocks carry attention.

    With ticket ``"none"`` it equals mmpretrain's ResNet key for key and value for value, and loads
    torchvision's weights. ``(N, 3, H, W)`` to a tuple of maps, one for each of ``out_indices``.

    The variants of "Bag of Tricks" (He et al. 2019, arXiv 1812.01187) have the same blocks and the
    same tickets: ``deep_stem=True`` is mmpretrain's ResNetV1c (three 3x3 convolutions for the 7x7
    one), and ``deep_stem=True, avg_down=True`` is ResNetV1d, also called ResNet-D (shortcuts are
    averaged over 2x2 before a projection without stride).

    Args:
        depth: 18, 34, 50, 101 or 152.
        attention: ``"SE"``, ``dict(type="SE", reduction=8)``, or ``None`` for the plain network.
        sharing: ``"stage"``: one module a stage; ``"block"``: one a connected block.
        ticket: ``"none"``, ``"full"``, a Ticket, a ticket file's path, or ``"zoo:NAME"``; ``None``
            means ``"full"`` where there is an attention and ``"none"`` where there is not.
        init: ``"default"``: the attention's own initial values; ``"identity"``: it does not change
            a pretrained network's output at first, see :class:`TicketBackbone`.
        asr: ``True``: the ticket's connections are re-parameterised, to be folded away
            (:mod:`ean_transfer.asr`); ``"before"``: one such before each that is kept. A ticket
            that says itself what is to be folded is left as it is.
        **kwargs: mmpretrain's ResNet's: out_indices, strides, dilations, frozen_stages, norm_eval,
            with_cp, init_cfg ... ``num_stages=3``, with ``strides``, ``dilations`` and
            ``out_indices`` of three stages, leaves the last stage out; the ticket's bits for it are
            then unused, and a log line says so.

    Raises:
        ConfigError: For an unknown depth, attention, option or init, or an attention that cannot
            start as the identity.
        TicketError: If the ticket does not fit.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str = "stage",
        ticket: TicketSpec | None = None,
        *,
        init: str = "default",
        asr: bool | str = False,
        **kwargs: Any,
    ) -> None:
        kind, blocks = layout_of(RESNET, depth)
        block = TicketBottleneck if kind == "bottleneck" else TicketBasicBlock
        self.arch_settings = {depth: (block, blocks)}
        self.backbone_name = RESNET.format(depth=depth)
        self._prepare(blocks, attention, sharing, ticket, init, asr)
        super().__init__(depth, **kwargs)
        self._report_unused_bits()
