"""What the command line tools share: one line for bad input, and no traceback.

Imports no torch: ``--help`` and the tools that only read tickets start at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ean_transfer.cli.errors import BAD_INPUT
from ean_transfer.errors import ConfigError
from ean_transfer.io.terminal import printable


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with the tools' habits: errors in one line, examples kept as written."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # A half-written option that happens to be unique today may be another one tomorrow.
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {printable(message)} (see {self.prog} --help)\n")


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options KEY=VALUE ...``, as mmengine reads them."""
    from mmengine.config import DictAction  # which imports torch

    class CfgOptions(DictAction):  # type: ignore[misc]
        def __call__(self, parser: Any, namespace: Any, values: Any, *args: Any) -> None:
            try:
                super().__call__(parser, namespace, values, *args)
            except (ValueError, AssertionError, IndexError):
                parser.error(f"expected --cfg-options KEY=VALUE ..., found {' '.join(values)}")

    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=CfgOptions,
        metavar="KEY=VALUE",
        help="changes of the config, e.g. train_dataloader.batch_size=8",
    )


def read_networks(texts: Sequence[str], several: bool = False) -> dict[str, list[str]]:
    """Name -> checkpoints, from ``NAME=CHECKPOINT`` each.

    Args:
        texts: As they were typed.
        several: Also take ``NAME=CHECKPOINT,CHECKPOINT,...``; otherwise a comma is of the name.

    Raises:
        ConfigError: If one is not of this form, or a name comes twice.
    """
    named = {}
    for text in texts:
        name, _, value = text.partition("=")
        named[name] = [file for file in (value.split(",") if several else [value]) if file]
        if not (name and named[name]):
            raise ConfigError(f"expected NAME=CHECKPOINT, e.g. full=epoch_7.pth, found {text!r}")
    if len(named) < len(texts):
        raise ConfigError("expected a NAME for each CHECKPOINT, found one twice")
    return named


def read_seed(text: str) -> int:
    """A seed that NumPy takes; for ``type=`` of an argument.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    if not (text.isdecimal() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 0 to {2**32 - 1}, found {text}"
        )
    return int(text)


def require_folder(option: str, file: str) -> None:
    """Make sure, before the work for a file begins, that its folder exists.

    Raises:
        ConfigError: If it does not.
    """
    if not Path(file).parent.is_dir():
        raise ConfigError(f"expected {option} in a folder that exists, found {file}")


def require_png(option: str, file: str) -> None:
    """Make sure, before the work for a picture begins, that its file can be made.

    Raises:
        ConfigError: If it is no .png file, or its folder does not exist.
    """
    if Path(file).suffix.lower() != ".png":
        raise ConfigError(f"expected {option} as the name of a .png file, found {file}")
    require_folder(option, file)
