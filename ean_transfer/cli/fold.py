"""The command ``fold``: what a network's attention is worth, and what folding it away costs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.output import hand_over, text_for_people
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import (
    at_least,
    new_file,
    not_negative,
    picture,
    read_config,
    read_networks,
)
from ean_transfer.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from torch import nn

    from ean_transfer.asr.report import Action, BlockReport


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands, their arguments and the functions that run them."""
    commands = parser.add_commands()

    report = commands.add_parser(
        "report",
        help="what each connection is worth; which to drop, fold or keep within a budget",
        description="Measure what the metric loses if a block's attention is dropped or folded, "
        "propose what to do within a budget, and verify the proposal on the test set.",
    )
    report.add_shared("config", "checkpoint")
    report.add_argument(
        "--choose-on",
        choices=("train", "val"),
        default="val",
        help="images to choose by, never the test set",
    )
    report.add_shared("--images", type=at_least(2), default=2000, help="how many of these images")
    report.add_argument(
        "--budget",
        type=not_negative,
        default=0.5,
        metavar="LOSS",
        help="what the metric may lose in total, in its own unit",
    )
    report.add_shared("--metric")
    direction = report.add_mutually_exclusive_group()
    direction.add_argument(
        "--lower-is-better", action="store_true", help="the metric is an error, e.g. MAE"
    )
    direction.add_argument(
        "--higher-is-better",
        action="store_true",
        help="the metric is a score; needed where its name does not say so",
    )
    report.add_shared("--seed", default=0, help="seed of the draw of images")
    report.add_shared("--json", "--out")
    report.accept_old("--json", "--out", suffix=".json")
    report.add_argument(
        "--save", type=new_file, metavar="FILE.pth", help="write the proposed network to this file"
    )
    report.add_shared("--device", "--cfg-options")
    report.set_defaults(run=run_report)

    stripes = commands.add_parser("stripes", help="draw attention values over images and channels")
    stripes.add_shared("config", "checkpoint")
    stripes.add_shared("--out", type=picture, required=True, metavar="FILE.png", help="the picture")
    stripes.add_shared("--images", type=at_least(2), default=256, help="how many test images")
    stripes.add_argument(
        "--history",
        metavar="stripes.json",
        help="draw instead the scores during training, which StripeHook wrote to this file",
    )
    stripes.add_shared("--device", "--cfg-options")
    stripes.set_defaults(run=run_stripes)

    folded = commands.add_parser(
        "folded", help="compare networks as trained, folded, and with their attention dropped"
    )
    folded.add_shared("config")
    folded.add_shared(
        "networks",
        metavar="NAME=CHECKPOINT[,CHECKPOINT...]",
        help="a title and the checkpoints, one per seed, for each network",
    )
    folded.add_shared(
        "--images",
        type=at_least(2),
        default=2000,
        help="training images for the means",
    )
    folded.add_shared("--metric")
    folded.add_shared("--seed", default=0, help="seed of the draw of images")
    folded.add_shared("--json", "--out")
    folded.accept_old("--json", "--out", suffix=".json")
    folded.add_shared("--device", "--cfg-options")
    folded.set_defaults(run=run_folded)


def run_stripes(arguments: argparse.Namespace) -> None:
    """Draw attention values, or their scores during training."""
    from mmengine.model import BaseModel

    from ean_transfer.analysis.scoring import metric_on
    from ean_transfer.asr.figure import draw_stripe_scores, draw_stripes
    from ean_transfer.asr.report import block_names
    from ean_transfer.asr.stripes import attention_values, stripe_scores
    from ean_transfer.engine.inference import load_trained

    cfg = read_config(arguments)
    model = load_trained(cfg, arguments.checkpoint, BaseModel, device=arguments.device)
    names = block_names(model)
    if arguments.history:
        draw_stripe_scores(Path(arguments.history), names, arguments.out)
    else:
        values = attention_values(model, metric_on(cfg, "test", images=arguments.images).batches)
        draw_stripes(values, names, arguments.out)
        for block, score in stripe_scores(values).items():
            print(f"block {names[block]}: stripe score {score:.4f}")
    print(f"wrote {arguments.out}")


def run_report(arguments: argparse.Namespace) -> None:
    """Measure each connection, and propose what to drop, fold or keep."""
    from mmengine.model import BaseModel

    from ean_transfer.analysis.scoring import metric_on
    from ean_transfer.asr.report import BlockAnalysis
    from ean_transfer.engine.inference import load_trained
    from ean_transfer.engine.metrics import higher_is_better
    from ean_transfer.io.files import refuse_to_replace
    from ean_transfer.io.tables import print_table
    from ean_transfer.supernet import find_backbone

    checkpoint, metric = arguments.checkpoint, arguments.metric
    if arguments.save:
        refuse_to_replace([arguments.save], "a new file or that of an earlier report", _is_proposal)
    known = higher_is_better(metric)
    if known is False and not arguments.lower_is_better:
        raise ConfigError(f"{metric} is an error: give --lower-is-better")
    if known and arguments.lower_is_better:
        raise ConfigError(f"{metric} is better where it is higher: leave out --lower-is-better")
    if known is None and not (arguments.lower_is_better or arguments.higher_is_better):
        raise ConfigError(
            f"--metric {metric}: its name does not say which way is better: give "
            "--higher-is-better or --lower-is-better"
        )
    cfg = read_config(arguments)
    model = load_trained(cfg, checkpoint, BaseModel, device=arguments.device)
    ticket = find_backbone(model).ticket
    if not ticket.connected:
        raise ConfigError(
            f"{checkpoint}: has no attention to choose about, its ticket is {ticket}; "
            "re-parameterised attention is folded exactly by ean export"
        )
    choice = metric_on(cfg, arguments.choose_on, metric, arguments.images, arguments.seed)
    test = metric_on(cfg, "test", metric)
    with text_for_people(arguments):
        print(f"ticket {ticket}; chosen on {choice.images} {arguments.choose_on} images")
        analysis = BlockAnalysis(model, choice.batches, choice, not arguments.lower_is_better)
        blocks = analysis.blocks()
        proposal = analysis.propose(blocks, arguments.budget)
        networks = {
            "as trained": analysis.model,
            "proposed": analysis.proposed(proposal),
            "all folded": analysis.everywhere("fold"),
            "all dropped": analysis.everywhere("drop"),
        }
        tested = {name: test(network) for name, network in networks.items()}
        print_table(
            block_rows(blocks, proposal.actions), f"{metric} lost, in its own unit; + is worse"
        )
        print(
            f"proposed: loses {proposal.lost:+.2f} on the {arguments.choose_on} images, of "
            f"{arguments.budget:.2f} allowed"
        )
        for name, network in networks.items():
            print(f"test, {name:11} {tested[name]:.2f}   ticket {find_backbone(network).ticket}")
        if arguments.save:
            _save_proposal(networks["proposed"], arguments)
            print(f"wrote {arguments.save}")
    hand_over(
        arguments,
        {
            "ticket": str(ticket),
            "metric": metric,
            "chosen_on": arguments.choose_on,
            "images": choice.images,
            "seed": arguments.seed,
            "metric_on_them": analysis.base,
            "blocks": [asdict(block) for block in blocks],
            "budget": arguments.budget,
            "proposal": {str(block): action for block, action in proposal.actions.items()},
            "lost": proposal.lost,
            "test": tested,
        },
    )


def run_folded(arguments: argparse.Namespace) -> None:
    """Compare networks as trained, folded, and with their attention dropped."""
    from mmengine.model import BaseModel

    from ean_transfer.analysis.scoring import metric_on
    from ean_transfer.asr.compare import folded_scores
    from ean_transfer.engine.inference import load_trained
    from ean_transfer.io.tables import mean_and_spread, print_table

    named = read_networks(arguments.networks, several=True)
    cfg, metric = read_config(arguments), arguments.metric
    calibration = metric_on(cfg, "train", metric, arguments.images, arguments.seed)
    test = metric_on(cfg, "test", metric)
    scores: dict[str, dict[str, list[float]]] = {}
    with text_for_people(arguments):
        for name, checkpoints in named.items():
            rows = [
                folded_scores(
                    load_trained(cfg, file, BaseModel, device=arguments.device),
                    calibration.batches,
                    test,
                )
                for file in checkpoints
            ]
            scores[name] = {key: [row[key] for row in rows] for key in rows[0]}
            cells = (f"{key} {mean_and_spread(values)}" for key, values in scores[name].items())
            print(f"{name}: {', '.join(cells)}", flush=True)
        headings = list(next(iter(scores.values())))
        table = [
            [name, *(mean_and_spread(its_scores[key]) for key in headings)]
            for name, its_scores in scores.items()
        ]
        print_table([["network", *headings], *table], f"{metric} on the test set")
    hand_over(
        arguments,
        {
            "metric": metric,
            "images": calibration.images,
            "seed": arguments.seed,
            "networks": scores,
        },
    )


def block_rows(blocks: Sequence[BlockReport], actions: Mapping[int, Action]) -> list[list[str]]:
    """The report's table: headings, then one row per block."""

    def number(value: float | None, spec: str) -> str:
        return "" if value is None else format(value, spec)

    rows = [["block", "in the ticket", "stripe score", "lost if dropped", "if folded", "proposed"]]
    for block in blocks:
        rows.append(
            [
                block.name,
                "yes" if block.connected else "no",
                number(block.stripe, ".3f"),
                number(block.drop, "+.2f"),
                number(block.fold, "+.2f"),
                actions.get(block.block, ""),
            ]
        )
    return rows


def _save_proposal(network: nn.Module, arguments: argparse.Namespace) -> None:
    from ean_transfer.engine.weights import write_network
    from ean_transfer.io.checkpoint import read_checkpoint

    meta: dict[str, Any] = read_checkpoint(arguments.checkpoint).get("meta", {})
    write_network(
        network,
        arguments.save,
        dataset_meta=meta.get("dataset_meta", {}),
        proposed_from={
            "checkpoint": arguments.checkpoint,
            "metric": arguments.metric,
            "budget": arguments.budget,
        },
    )


def _is_proposal(file: Path) -> bool:
    """Whether a file is the network that an earlier report proposed, which may be replaced."""
    from ean_transfer.io.checkpoint import read_checkpoint

    try:
        return "proposed_from" in read_checkpoint(file).get("meta", {})
    except CheckpointError:
        return False
