"""The command ``train``: trains a config of any task."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.paths import alone_in
from ean_transfer.cli.switches import DATA, LENGTH, add_recipe, read_changed_config
from ean_transfer.io.notices import labelled

if TYPE_CHECKING:
    from mmengine.runner import Runner


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.add_shared("config", "--ticket")
    parser.add_argument(
        "--weights",
        metavar="CHECKPOINT",
        help="start the backbone from a checkpoint of any task, torchvision:NAME, timm:NAME, "
        "transformers:NAME, mmpretrain:NAME or package:NAME",
    )
    parser.add_shared("--work-dir", "--resume")
    parser.add_shared(*LENGTH, *DATA)
    add_recipe(parser)
    parser.add_shared("--seed", "--launcher", "--verbose", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Train, and say where the network is and how it is tested."""
    from mmengine.dist import is_main_process

    from ean_transfer.engine.config import set_ticket
    from ean_transfer.engine.runner import require_new_work_dir, work_dir_of
    from ean_transfer.engine.training import train

    cfg = read_changed_config(arguments)
    if not arguments.resume:
        require_new_work_dir(cfg, arguments.work_dir)
    if arguments.ticket:
        set_ticket(cfg, arguments.ticket)
    with alone_in(work_dir_of(cfg, arguments.work_dir), arguments.launcher):
        runner = train(
            cfg,
            arguments.work_dir,
            weights=arguments.weights,
            resume=arguments.resume,
            seed=arguments.seed,
            launcher=arguments.launcher,
        )
    if is_main_process():
        _print_what_next(runner)


def _print_what_next(runner: Runner) -> None:
    from ean_transfer.engine.checkpoints import recorded_checkpoint

    best = runner.message_hub.runtime_info.get("best_ckpt")
    if best and (moved := Path(runner.work_dir) / Path(best).name).is_file():
        best = moved  # the recorded path is absolute, and folders move
    checkpoint = best or recorded_checkpoint(runner.work_dir)
    # As it was run, with all changes by the command line.
    config = Path(runner.work_dir) / Path(runner.cfg.filename or "").name
    if checkpoint is None or not config.is_file():
        return
    print(labelled("checkpoint", str(checkpoint)))
    if runner.cfg.get("test_dataloader"):
        print(labelled("next", shlex.join(["ean", "test", str(config), str(checkpoint)])))
