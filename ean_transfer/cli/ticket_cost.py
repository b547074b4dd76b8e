"""The command ``ticket cost``: what a ticket costs on a network. Its parser imports no torch."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ean_transfer.cli.network_source import add_network_options, network_with
from ean_transfer.cli.output import hand_over
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket, display


def add_command(commands: Any) -> None:
    """Declare the command among those of ``ticket``."""
    cost: ArgumentParser = commands.add_parser(
        "cost",
        help="count and measure what a ticket costs on a network",
        description="Parameters, multiply-accumulates and latency with the ticket and without. The "
        "two networks are timed in turn, and compared round by round: the per cent are the median "
        "over the rounds, in brackets the quartiles. So they hold on a busy machine, where "
        "milliseconds do not. The weights are random.",
    )
    cost.add_argument(
        "ticket",
        metavar="TICKET",
        help="a ticket file or zoo:NAME; with --network and --attention also none or full",
    )
    cost.add_argument(
        "--network",
        metavar="NAME",
        help="timm:NAME, torchvision:NAME, transformers:NAME, or a name of the toolkit's own "
        "backbones such as resnet20_cifar (default: the ticket's)",
    )
    add_network_options(cost)
    cost.add_argument(
        "--size", "--image-size", type=at_least(1), required=True, metavar="PIXELS",
        help="side of the images",
    )  # fmt: skip
    cost.add_argument(
        "--batch-size",
        "--batch",
        type=at_least(1),
        default=1,
        metavar="N",
        help="images per forward pass",
    )
    cost.add_argument(
        "--compiled",
        "--compile",
        action="store_true",
        help="also measure compiled by torch.compile: minutes",
    )
    cost.add_argument(
        "--rounds", type=at_least(2), default=40, metavar="N", help="timed forward passes"
    )
    cost.add_shared("--device", "--json", "--out")
    cost.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print what a ticket costs on a network."""
    import torch

    from ean_transfer.analysis.latency import device_name, random_images
    from ean_transfer.asr import fold
    from ean_transfer.attachment.libraries import is_library_network
    from ean_transfer.attachment.network import find_backbone
    from ean_transfer.engine.inference import on_device
    from ean_transfer.io.tables import print_table
    from ean_transfer.search.cost.report import HEADINGS, costs_of_ticket

    if arguments.ticket in ("none", "full") and not (arguments.network and arguments.attention):
        raise ConfigError(f"{arguments.ticket} needs --network NAME and --attention NAME")
    shape = (arguments.batch_size, 3, arguments.size, arguments.size)
    name = arguments.network or Ticket.load(arguments.ticket).backbone.name
    model = network_with(name, arguments.ticket, arguments)
    ticket = find_backbone(model).ticket
    if ticket.to_fold:  # it costs nothing where the network is used
        model = fold(model)
    model = on_device(model, arguments.device)
    images = random_images(model, shape)
    costs = costs_of_ticket(
        model, images, compiled=(False, True)[: 1 + arguments.compiled], rounds=arguments.rounds
    )
    circumstances = {
        "device": device_name(images.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    if not arguments.json:
        whose = "" if is_library_network(name) else " (the toolkit's own, without a head)"
        print(display.summary(ticket))
        print_table(
            [HEADINGS, *(cost.row() for cost in costs)],
            f"{name}{whose}, {' x '.join(map(str, shape))}",
        )
        print(", ".join(f"{key}: {value}" for key, value in circumstances.items()))
    results = {
        "ticket": {"id": ticket.id, **ticket.model_dump(mode="json", exclude={"provenance"})},
        "network": name,
        "input_shape": shape,
        "rounds": arguments.rounds,
        **circumstances,
        "costs": {numbers.pop("cost"): numbers for numbers in map(asdict, costs)},
    }
    hand_over(arguments, results)
