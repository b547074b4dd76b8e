"""The command ``benchmark model``: tickets of one network, measured. The parser has no torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.network_source import add_network_options, network_with
from ean_transfer.cli.output import hand_over, text_for_people
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least, picture, read_config
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.architectures import parse_name

if TYPE_CHECKING:
    from torch import nn


def add_command(commands: Any) -> None:
    """Declare the command among those of ``benchmark``."""
    model: ArgumentParser = commands.add_parser(
        "model",
        help="size, operations, time and memory of a network with several tickets",
        description="Parameters, multiply-accumulates, latency, throughput, peak memory and "
        "bytes saved for backward, of the forward pass and of forward and backward, as a Markdown "
        "table. All networks are timed in turn; times over none are the median of the ratios, "
        "round by round, with its 95 % interval, and hold on a busy machine. The weights are "
        "random.",
    )
    model.add_argument(
        "network",
        metavar="CONFIG|NAME",
        help="a config, whose whole model is measured; timm:NAME, torchvision:NAME, "
        "transformers:NAME, or one of the toolkit's backbones such as resnet50",
    )
    model.add_argument(
        "--tickets",
        nargs="+",
        default=["none", "full"],
        metavar="TICKET",
        help="none, full, ticket files or zoo:NAME; none is always measured",
    )
    add_network_options(model)
    model.add_argument(
        "--batch",
        "--batch-size",
        nargs="+",
        type=at_least(1),
        default=[1],
        metavar="N",
        help="images per pass",
    )
    model.add_argument(
        "--size",
        "--image-size",
        type=at_least(1),
        default=224,
        metavar="PIXELS",
        help="side of the images",
    )
    model.add_argument("--threads", type=at_least(1), metavar="N", help="threads of the processor")
    model.add_argument(
        "--optimize",
        action="store_true",
        help="also measure each network with its BatchNorm folded, see ean export --optimize",
    )
    model.add_argument(
        "--compile",
        "--compiled",
        action="store_true",
        help="also measure each network compiled by torch.compile: minutes",
    )
    model.add_argument(
        "--without-training", action="store_true", help="measure the forward pass alone"
    )
    model.add_argument(
        "--rounds", type=at_least(2), default=20, metavar="N", help="timed passes of each"
    )
    model.add_argument(
        "--figure", type=picture, metavar="FILE.png", help="draw time against memory"
    )
    model.add_shared("--device", "--json", "--out", "--cfg-options")
    model.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure the networks; print a table per batch size."""
    import torch

    from ean_transfer.analysis.latency import device_name
    from ean_transfer.attachment.libraries import is_library_network
    from ean_transfer.engine.inference import on_device
    from ean_transfer.io.tables import markdown
    from ean_transfer.search.cost.benchmark import HEADINGS, PLAIN, benchmark_networks, row
    from ean_transfer.search.cost.benchmark_figure import draw_benchmark

    tickets = dict.fromkeys([PLAIN, *arguments.tickets])
    if arguments.at is None and is_library_network(arguments.network):
        arguments.at = _places_in(tickets)
    networks = {
        ticket: on_device(_network(arguments, ticket), arguments.device) for ticket in tickets
    }
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    circumstances = {
        "device": device_name(next(networks[PLAIN].parameters()).device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": arguments.rounds,
    }
    measured = []
    with text_for_people(arguments):
        print(", ".join(f"{key}: {value}" for key, value in circumstances.items()))
        for batch in arguments.batch:
            of_batch = benchmark_networks(
                networks,
                batch,
                arguments.size,
                optimize=arguments.optimize,
                compiled=arguments.compile,
                with_training=not arguments.without_training,
                rounds=arguments.rounds,
            )
            shape = f"{batch} x 3 x {arguments.size} x {arguments.size}"
            print(f"\n{arguments.network}, {shape}\n")
            print(markdown([HEADINGS, *map(row, of_batch)]), end="", flush=True)
            measured += of_batch
        if arguments.figure:
            print(f"\nwrote {draw_benchmark(measured, arguments.figure)}")
    results = {
        "network": arguments.network,
        "size": arguments.size,
        **circumstances,
        "results": [
            {**asdict(one), "images_per_second": one.images_per_second} for one in measured
        ],
    }
    hand_over(arguments, results)


def _places_in(tickets: Iterable[str]) -> list[str] | None:
    """The places that tickets name, so that none and full are measured at them as well."""
    from ean_transfer.attachment.resolve import places_in

    named = dict.fromkeys(filter(None, map(places_in, tickets)))
    if len(named) > 1:
        first, second, *_ = map(", ".join, named)
        raise ConfigError(
            f"--tickets: expected tickets of the same places, found {first} and {second}: measure "
            "them one by one, or name the places by --at"
        )
    return [name for places in named for name in places] or None


def _network(arguments: argparse.Namespace, ticket: str) -> nn.Module:
    """Build the network that the command line names, with a ticket."""
    from ean_transfer.attachment.libraries import is_library_network

    name = arguments.network
    if is_library_network(name) or parse_name(name):
        if ticket == "full" and not arguments.attention:
            raise ConfigError(f"--tickets full: {name} needs --attention NAME")
        if arguments.cfg_options:
            raise ConfigError(f"--cfg-options change a config: give one, not {name}")
        return network_with(name, ticket, arguments)
    if arguments.attention or arguments.at or arguments.option:
        raise ConfigError(
            "expected timm:NAME, torchvision:NAME, transformers:NAME or one of our backbones with "
            f"--attention, --at and --option, found {name}: a config says its attention itself"
        )
    return _model(arguments, ticket)


def _model(arguments: argparse.Namespace, ticket: str) -> nn.Module:
    """Build a config's model with a ticket."""
    from mmengine.registry import MODELS

    from ean_transfer.engine.config import model_class, set_ticket
    from ean_transfer.engine.config_errors import config_errors

    options = arguments.cfg_options
    cfg = read_config(argparse.Namespace(config=arguments.network, cfg_options=options))
    model_class(cfg)
    set_ticket(cfg, ticket)
    with config_errors(cfg):
        model: nn.Module = MODELS.build(cfg.model)
    return model
