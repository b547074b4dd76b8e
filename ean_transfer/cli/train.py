"""The command ``train``: trains a config of any task."""

from __future__ import annotations

import argparse

from ean_transfer.cli.parser import ArgumentParser, read_config


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.add_shared("config", "--ticket")
    parser.add_argument(
        "--weights",
        metavar="CHECKPOINT",
        help="start the backbone from a checkpoint of any task, torchvision:NAME, timm:NAME, "
        "mmpretrain:NAME or package:NAME",
    )
    parser.add_shared("--work-dir", "--resume")
    parser.add_argument(
        "--amp",
        action="store_true",
        help="mixed precision (bfloat16 on a CPU, float16 on a GPU)",
    )
    parser.add_shared("--seed", "--launcher", "--tensorboard", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Train."""
    from ean_transfer.engine.config import set_amp, set_tensorboard, set_ticket
    from ean_transfer.engine.runner import require_new_work_dir
    from ean_transfer.engine.training import train

    cfg = read_config(arguments)
    if not arguments.resume:
        require_new_work_dir(cfg, arguments.work_dir)
    if arguments.ticket:
        set_ticket(cfg, arguments.ticket)
    if arguments.amp:
        set_amp(cfg)
    if arguments.tensorboard:
        set_tensorboard(cfg)
    train(
        cfg,
        arguments.work_dir,
        weights=arguments.weights,
        resume=arguments.resume,
        seed=arguments.seed,
        launcher=arguments.launcher,
    )
