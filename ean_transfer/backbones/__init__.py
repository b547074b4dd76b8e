"""CNNs whose ticketed blocks carry attention, registered with mmengine.

=========================  =========================================================
:mod:`~.ticketed`          base of all: builds mmpretrain's ResNets from a ticket, and masks them
:mod:`~.stage`             one residual stage and the attention that its blocks call
:mod:`~.blocks`            the residual blocks
:mod:`~.dilations`         dilations of single blocks, as in mmsegmentation
:mod:`~.arguments`         arguments that do not fit together, or have no effect
:mod:`~.identity_init`     ``init="identity"``: attention that does not change the output at first
:mod:`~.pretrained`        checkpoints that ``init_cfg`` names
:mod:`~.resnet`            ResNet, ResNet-C and ResNet-D for ImageNet-sized images
:mod:`~.resnext`           ResNeXt for ImageNet-sized and CIFAR-sized images
:mod:`~.resnet_cifar`      ResNet for CIFAR-sized images, and the base of all such
:mod:`~.preresnet_cifar`   PreResNet and Wide ResNet for CIFAR-sized images
:mod:`~.attached`          networks of timm, torchvision or one's own, with attention attached
:mod:`~.maps`              the feature maps of such networks
=========================  =========================================================

:func:`build_backbone` builds each by its name.
"""

from __future__ import annotations

import logging
from typing import Any

from mmengine.logging import MMLogger

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.attachment.libraries import NAMES, is_library_network
from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.attached import AttachedBackbone
from ean_transfer.backbones.preresnet_cifar import TicketPreResNetCIFAR, TicketWideResNetCIFAR
from ean_transfer.backbones.resnet import TicketResNet
from ean_transfer.backbones.resnet_cifar import TicketResNetCIFAR
from ean_transfer.backbones.resnext import TicketResNeXt, TicketResNeXtCIFAR
from ean_transfer.backbones.ticketed import TicketBackbone
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.architectures import (
    PRERESNET_CIFAR,
    RESNET,
    RESNET_CIFAR,
    RESNEXT,
    RESNEXT_CIFAR,
    WRN_CIFAR,
    parse_name,
    unknown_backbone,
)

__all__ = [
    "BACKBONES",
    "TICKETED",
    "AttachedBackbone",
    "TicketPreResNetCIFAR",
    "TicketResNeXt",
    "TicketResNeXtCIFAR",
    "TicketResNet",
    "TicketResNetCIFAR",
    "TicketSpec",
    "TicketWideResNetCIFAR",
    "TicketBackbone",
    "build_backbone",
]

BACKBONES: dict[str, type[TicketBackbone]] = {
    RESNET: TicketResNet,
    RESNEXT: TicketResNeXt,
    RESNET_CIFAR: TicketResNetCIFAR,
    PRERESNET_CIFAR: TicketPreResNetCIFAR,
    WRN_CIFAR: TicketWideResNetCIFAR,
    RESNEXT_CIFAR: TicketResNeXtCIFAR,
}
"""Pattern of a backbone's name -> its class, whose arguments are the pattern's fields."""

TICKETED: tuple[type, ...] = (*BACKBONES.values(), AttachedBackbone)
"""All classes of backbones that are built with a ticket."""


def build_backbone(
    name: str | None = None,
    attention: AttentionSpec | None = None,
    sharing: str | None = None,
    ticket: TicketSpec | None = None,
    **kwargs: Any,
) -> Any:
    """Build a ticketed backbone with freshly initialised weights.

    Args:
        name: Name of the backbone, with any depth and width of its family: ``resnet50`` or
            ``resnext50_32x4d`` for images as large as ImageNet's; ``resnet20_cifar``,
            ``preresnet164_cifar``, ``wrn52_4_cifar`` or ``resnext29_8x64d_cifar`` for CIFAR's;
            ``timm:NAME``, ``torchvision:NAME`` or ``transformers:NAME``; the ticket's own by
            default.
        attention: ``"SE"``, ``"SGE"``, ``"DIA"``, a dict with options such as
            ``dict(type="SE", reduction=8)``; the ticket's own by default, and none without a
            ticket.
        sharing: ``"stage"``: one module per stage; ``"block"``: one per connected block; the
            ticket's own by default, and ``"stage"`` without a ticket.
        ticket: ``"none"``, ``"full"``, a Ticket, a ticket file's path, or ``"zoo:NAME"``; ``None``
            connects every block if there is an attention.
        **kwargs: Other arguments of the backbone, e.g. ``out_indices=(0, 1, 2, 3)``.

    Returns:
        A :class:`TicketBackbone`, or an :class:`AttachedBackbone` for a network of another library:
        a module from (N, 3, H, W) to a tuple of feature maps, one for each of ``out_indices``.

    Raises:
        ConfigError: The name, depth, attention or an option is unknown, or there is neither a name
            nor a ticket with one.
        TicketError: The ticket does not fit the backbone.
    """
    if name is None:
        name = _name_in(ticket)
    spec: dict[str, Any] = dict(attention=attention, sharing=sharing, ticket=ticket)
    if is_library_network(name):
        backbone: Any = AttachedBackbone(name, **spec, **kwargs)
    else:
        parsed = parse_name(name)
        if parsed is None:
            raise ConfigError(f"{unknown_backbone(name)}, or {NAMES}")
        pattern, numbers = parsed
        family: Any = BACKBONES[pattern]
        backbone = family(**spec, **numbers, **kwargs)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)  # init_weights logs three lines for each parameter
    try:
        backbone.init_weights()
    finally:
        logger.setLevel(level)
    return backbone


def _name_in(ticket: TicketSpec | None) -> str:
    if ticket in (None, "none", "full"):
        raise ConfigError(
            "build_backbone: expected the backbone's name, or a ticket made for one, found "
            f"ticket={ticket!r}: write e.g. build_backbone('resnet50', 'SE')"
        )
    if isinstance(ticket, dict):
        ticket = Ticket(**ticket)
    return (ticket if isinstance(ticket, Ticket) else Ticket.load(ticket)).backbone.name
