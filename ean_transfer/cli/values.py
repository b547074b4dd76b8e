"""From what was typed to values: types of arguments, and texts of the form ``KEY=VALUE``.

Imports no torch, mmengine or numpy, so that ``--help`` is answered at once.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ean_transfer.errors import ConfigError
from ean_transfer.io.files import expanded, require_writable

if TYPE_CHECKING:
    from mmengine.config import Config


def seed(text: str) -> int:
    """A seed that NumPy takes; for ``type=`` of an argument."""
    if not (text.isdecimal() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 0 to {2**32 - 1}, found {text}"
        )
    return int(text)


def at_least(least: int) -> Callable[[str], int]:
    """Whole numbers from ``least``; for ``type=`` of an argument."""

    def number(text: str) -> int:
        if not text.lstrip("-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number >= {least}, found {text}")
        return int(text)

    return number


def positive(text: str) -> float:
    """A finite number above 0; for ``type=`` of an argument."""
    if not 0.0 < (number := _number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return number


def not_negative(text: str) -> float:
    """A finite number, 0 or more; for ``type=`` of an argument."""
    if not 0.0 <= (number := _number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number >= 0, found {text}")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # which every bound refuses


def key_value(text: str) -> str:
    """A text of the form ``KEY=VALUE``; for ``type=`` of an argument."""
    if text.find("=") < 1:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, found {text}")
    return text


def picture(text: str) -> Path:
    """The name of a picture to write, in a folder that exists; for ``type=`` of an argument."""
    if Path(text).suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected the name of a .png file, found {text}")
    return new_file(text)


def new_file(text: str) -> Path:
    """The name of a file to write, in a folder that exists; for ``type=`` of an argument."""
    file = expanded(text)
    if file.is_dir() or not file.parent.is_dir():
        found = f"the folder {text}" if file.is_dir() else text
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, found {found}")
    try:
        require_writable(file)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return file


def read_config(arguments: argparse.Namespace) -> Config:
    """Load the config that the command line names, with its ``--cfg-options``.

    Raises:
        ConfigError: The config cannot be read, or an option is malformed or does not fit.
    """
    from ean_transfer.engine.config import load_config

    return load_config(arguments.config, _cfg_options(arguments.cfg_options or []))


def _cfg_options(texts: Sequence[str]) -> dict[str, Any]:
    """What ``KEY=VALUE`` texts say, as mmengine reads them, but with the spaces of a VALUE."""
    options = {}
    for pair in texts:
        key, _, text = pair.partition("=")
        try:
            options[key] = _cfg_value(text)
        except (AssertionError, IndexError):  # by mmengine, of brackets that do not match
            raise ConfigError(
                f"--cfg-options: expected brackets that match, found {pair}"
            ) from None
    return options


def _cfg_value(text: str) -> Any:
    from mmengine.config import DictAction  # only now, since it imports torch

    if text.startswith(("[", "(", "{", "'", '"')):
        with suppress(ValueError, SyntaxError):  # lists need no quotes, as in [a, b]
            return ast.literal_eval(text)
    elif "," not in text:
        return DictAction._parse_int_float_bool(text)
    return DictAction._parse_iterable(text)


def read_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Read ``KEY=VALUE`` texts.

    Raises:
        ConfigError: A key comes twice.
    """
    pairs: dict[str, str] = {}
    for key, _, text in (pair.partition("=") for pair in texts):
        if key in pairs:
            raise ConfigError(f"{key} is given twice")
        pairs[key] = text
    return pairs


def read_options(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` texts; a VALUE is JSON, such as a number or true, or else text.

    Raises:
        ConfigError: A key comes twice.
    """
    options: dict[str, Any] = {}
    for key, text in read_pairs(texts).items():
        try:
            options[key] = json.loads(text)
        except ValueError:
            options[key] = text
    return options


def read_networks(texts: Sequence[str], several: bool = False) -> dict[str, list[str]]:
    """Read ``NAME=CHECKPOINT`` texts.

    Args:
        texts: The texts, as they were typed.
        several: Also read ``NAME=CHECKPOINT,CHECKPOINT,...``; otherwise a comma belongs to the
            file name.

    Returns:
        Name -> checkpoints, of which there is one unless ``several``.

    Raises:
        ConfigError: A text is not of this form, or a name comes twice.
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
