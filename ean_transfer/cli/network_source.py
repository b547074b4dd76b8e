"""A network by its name on the command line, built with a ticket; for what needs no training."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.parse import parse_options

if TYPE_CHECKING:
    from torch import nn


def add_network_options(parser: ArgumentParser) -> None:
    """Declare the options that say more of a network and its attention."""
    parser.add_argument(
        "--at",
        nargs="+",
        metavar="PATTERN",
        help="modules of another library's network that attention is attached to; default: "
        "those that the ticket names, or else the residual blocks",
    )
    parser.add_shared("--attention", help="attention of none or full, e.g. SE")
    parser.add_shared(
        "--option", help="option of this attention, e.g. reduction=16; may be repeated"
    )


def network_with(name: str, ticket: str, arguments: argparse.Namespace) -> nn.Module:
    """Build a network with a ticket's attention and random weights.

    Args:
        name: ``timm:NAME``, ``torchvision:NAME``, ``transformers:NAME``, or the name of one of our
            backbones.
        ticket: ``none``, ``full``, a ticket file or ``zoo:NAME``.
        arguments: The options of :func:`add_network_options`, and ``size``, the side of the images.

    Raises:
        ConfigError: There is no such network or attention, or an option does not fit.
        TicketError: There is no such ticket, or it is not the network's.
    """
    import torch

    from ean_transfer.attachment.attach import attach
    from ean_transfer.attachment.libraries import build_network, is_library_network
    from ean_transfer.backbones import build_backbone

    attention: Any = None
    if arguments.option and not arguments.attention:
        raise ConfigError("--option is one of --attention: name that as well")
    if arguments.attention:
        attention = {"type": arguments.attention, **parse_options(arguments.option)}
    if is_library_network(name):
        example = torch.zeros(1, 3, arguments.size, arguments.size)
        plain = build_network(name)
        return attach(plain, attention, ticket=ticket, at=arguments.at, example=example)
    if arguments.at:
        raise ConfigError(f"--at: {name} has its places, leave --at out")
    return build_backbone(name, attention, ticket=ticket)
