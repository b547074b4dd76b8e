"""CNNs whose ticketed blocks carry attention, registered with mmengine."""

from __future__ import annotations

import logging
import re
from typing import Any

from mmengine.logging import MMLogger

from ean_transfer.architectures import BLOCKS
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.resnet import TicketResNet
from ean_transfer.backbones.resnet_cifar import TicketResNetCIFAR
from ean_transfer.backbones.ticketed import TicketedResNet, TicketSpec
from ean_transfer.errors import ConfigError

__all__ = [
    "TicketResNet",
    "TicketResNetCIFAR",
    "TicketSpec",
    "TicketedResNet",
    "build_backbone",
]


def build_backbone(
    name: str,
    attention: AttentionSpec | None = None,
    sharing: str = "stage",
    ticket: TicketSpec | None = None,
    **kwargs: Any,
) -> TicketResNet | TicketResNetCIFAR:
    """Build a ticketed backbone with freshly initialised weights.

    Args:
        name: ``resnet18`` ... ``resnet152``, ``resnet20_cifar`` ... ``resnet164_cifar``.
        attention: ``"SE"``, ``"SGE"``, ``"DIA"``, a dict with options such as
            ``dict(type="SE", reduction=8)``, or ``None`` for the plain network.
        sharing: ``"stage"``: one module a stage; ``"block"``: one a connected block.
        ticket: ``"none"``, ``"full"``, a Ticket, a ticket file's path, or ``"zoo:NAME"``; ``None``
            connects every block if there is an attention.
        **kwargs: Passed to the backbone, e.g. ``out_indices=(0, 1, 2, 3)``.

    Returns:
        A module from (N, 3, H, W) to a tuple of feature maps, one for each of ``out_indices``.

    Raises:
        ConfigError: For an unknown name, attention or option.
        TicketError: If the ticket does not fit the backbone.
    """
    match = re.fullmatch(r"resnet(\d+)(_cifar)?", name)
    if match is None or name not in BLOCKS:
        raise ConfigError(f"unknown backbone {name!r}: expected one of {', '.join(BLOCKS)}")
    family: Any = TicketResNetCIFAR if match[2] else TicketResNet
    backbone = family(int(match[1]), attention, sharing, ticket, **kwargs)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)  # init_weights logs three lines for each parameter
    try:
        backbone.init_weights()
    finally:
        logger.setLevel(level)
    return backbone
