"""The switches of train, search and test that change a config: ``--epochs``, ``--data``, ..."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least, positive, read_config
from ean_transfer.errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config

LENGTH = ("--epochs", "--iters", "--lr")
DATA = ("--batch-size", "--data", "--classes")
RECIPE: dict[str, dict[str, Any]] = {
    "--amp": dict(
        action="store_true", help="mixed precision (bfloat16 on a CPU, float16 on a GPU)"
    ),
    "--compile": dict(action="store_true", help="compile the backbone (torch.compile)"),
    "--accumulate": dict(
        type=at_least(1), metavar="N", help="add up the gradients of N batches for one step"
    ),
    "--clip-grad": dict(type=positive, metavar="NORM", help="shorten gradients to this norm"),
    "--ema": dict(action="store_true", help="validate and save averaged weights"),
    "--freeze-backbone": dict(
        type=at_least(1),
        nargs="?",
        const=True,
        metavar="N",
        help="keep the backbone but its attention as it is, for N epochs (or iterations, where "
        "the config counts these) or for good",
    ),
    "--val-loss": dict(action="store_true", help="also compute the loss in validations"),
    "--early-stopping": dict(
        type=at_least(1), metavar="N", help="stop after N validations without a better one"
    ),
    "--wandb": dict(action="store_true", help="also log to Weights & Biases"),
    "--mlflow": dict(action="store_true", help="also log to MLflow"),
}
"""What may be added to a training's recipe, see :mod:`ean_transfer.engine.recipe`."""


def add_recipe(parser: ArgumentParser, *left_out: str) -> None:
    """Add the switches of a training's recipe, its trackers and its device.

    Args:
        parser: The command's parser.
        left_out: Switches that the command does not have.
    """
    for name, declaration in RECIPE.items():
        if name not in left_out:
            parser.add_argument(name, **declaration)
    parser.add_shared("--tensorboard", "--device")


def read_changed_config(arguments: argparse.Namespace, loader: str = "train_dataloader") -> Config:
    """Load the config that the command line names, with its options and then its switches.

    Args:
        arguments: The command line.
        loader: The loader that ``--batch-size`` is for.

    Raises:
        ConfigError: The config cannot be read, or an option or a switch does not fit it.
    """
    if arguments.data and not Path(arguments.data).is_dir():
        raise ConfigError(f"--data: expected a folder that exists, found {arguments.data}")
    from ean_transfer.engine.length import set_learning_rate, set_length
    from ean_transfer.engine.recipe import set_recipe
    from ean_transfer.engine.switches import set_batch_size, set_classes, set_data_root

    cfg = read_config(arguments)
    if getattr(arguments, "epochs", None):
        set_length(cfg, arguments.epochs, "epochs")
    if getattr(arguments, "iters", None):
        set_length(cfg, arguments.iters, "iters")
    if getattr(arguments, "lr", None):
        set_learning_rate(cfg, arguments.lr)
    if arguments.batch_size:
        set_batch_size(cfg, loader, arguments.batch_size)
    if arguments.data:
        set_data_root(cfg, arguments.data)
    if arguments.classes:
        set_classes(cfg, _number_or_names(arguments.classes))
    set_recipe(cfg, vars(arguments))
    return cfg


def _number_or_names(texts: list[str]) -> int | list[str]:
    if len(texts) == 1 and texts[0].isdecimal() and int(texts[0]) > 1:
        return int(texts[0])
    if len(set(texts)) < max(2, len(texts)):
        raise ConfigError(
            f"--classes: expected a number >= 2, or different names, found {' '.join(texts)}"
        )
    return texts
