"""The switches of train, search and test that change a config: ``--epochs``, ``--data``, ..."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ean_transfer.cli.parser import read_config
from ean_transfer.errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config

LENGTH = ("--epochs", "--iters", "--lr")
DATA = ("--batch-size", "--data", "--classes")
RECIPE = ("--amp", "--accumulate", "--clip-grad", "--ema", "--freeze-backbone", "--early-stopping")
TRACKERS = ("--tensorboard", "--wandb", "--mlflow", "--device")


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
