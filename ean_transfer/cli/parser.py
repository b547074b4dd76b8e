"""The argument parser, and every flag that several commands have: each is declared once, here.

Imports no torch, mmengine or numpy, so that ``--help`` is answered at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ean_transfer.cli.errors import BAD_INPUT
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import require_writable
from ean_transfer.io.terminal import printable

if TYPE_CHECKING:
    from mmengine.config import Config

# -- values ----------------------------------------------------------------------------------------


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
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return number


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
    if not Path(text).parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, found {text}")
    try:
        require_writable(Path(text))
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


# -- flags -----------------------------------------------------------------------------------------

_SHARED: dict[str, dict[str, Any]] = {
    "config": dict(metavar="CONFIG", help="a config file, or a name that 'ean configs' lists"),
    "checkpoint": dict(metavar="CHECKPOINT", help="a checkpoint of the config's network"),
    "networks": dict(
        nargs="+", metavar="NAME=CHECKPOINT", help="a title and a checkpoint for each network"
    ),
    "--cfg-options": dict(
        type=key_value,
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help="changes to the config, e.g. train_dataloader.batch_size=8",
    ),
    "--work-dir": dict(
        metavar="DIR",
        help="where results are written (default: work_dirs/FOLDER/NAME of the config)",
    ),
    "--resume": dict(action="store_true", help="continue from what the work dir holds"),
    "--ticket": dict(
        metavar="TICKET", help="none, full, a ticket file or zoo:NAME (default: the config's)"
    ),
    "--seed": dict(type=seed, metavar="N", help="seed; overrides the config's"),
    "--launcher": dict(
        choices=("none", "pytorch", "slurm", "mpi"),
        default="none",
        help="how the processes of a distributed run were started",
    ),
    "--verbose": dict(
        action="store_true", help="show the whole log, which is otherwise in its file alone"
    ),
    "--tensorboard": dict(action="store_true", help="also write TensorBoard events"),
    "--epochs": dict(
        type=at_least(1), metavar="N", help="length of the training; the schedule scales with it"
    ),
    "--iters": dict(
        type=at_least(1), metavar="N", help="the same for a training that counts iterations"
    ),
    "--lr": dict(type=positive, metavar="RATE", help="the highest learning rate"),
    "--batch-size": dict(type=at_least(1), metavar="N", help="images in a batch, per process"),
    "--data": dict(metavar="DIR", help="root folder of all of the config's data sets"),
    "--classes": dict(
        nargs="+", metavar="CLASS", help="number of classes, or their names in the labels' order"
    ),
    "--device": dict(
        metavar="NAME", help="cpu, cuda:0, ... (default: an accelerator, if there is one)"
    ),
    "--images": dict(type=at_least(1), metavar="N"),
    "--samples": dict(nargs="+", type=int, metavar="INDEX"),
    "--without-images": dict(action="store_true", help="draw on black instead of on the images"),
    "--metric": dict(default="accuracy/top1", metavar="NAME", help="the metric"),
    "--backbone": dict(metavar="NAME"),
    "--attention": dict(metavar="NAME"),
    "--option": dict(type=key_value, metavar="KEY=VALUE", action="append", default=[]),
    "--image-size": dict(type=at_least(1), metavar="PIXELS"),
    "--json": dict(action="store_true", help="print JSON instead of text"),
    "--out": dict(type=new_file, metavar="FILE", help="write the results to this file"),
    "--out-dir": dict(metavar="DIR", help="the folder where results are written"),
}
"""Name of an argument -> its declaration; see :meth:`ArgumentParser.add_shared`."""


_WIDTH = 100  # characters in a line of a description


class _OldSpelling(NamedTuple):
    old: str
    new: str
    suffix: str


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps descriptions as they are written, and adds each argument's default."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if default is None or default is False or default in ([], argparse.SUPPRESS):
            return action.help
        text = " ".join(map(str, default)) if isinstance(default, list) else default
        return f"{action.help} (default: {text})"


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with this program's habits: errors in one line, texts kept as written."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _HelpFormatter)
        if description := options.get("description"):
            options["description"] = fill(description, _WIDTH)
        # An abbreviation that is unique today may mean another option tomorrow.
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)
        self._old_spellings: list[_OldSpelling] = []

    def explain(self, text: str) -> None:
        """Add a paragraph to the description."""
        self.description = f"{self.description}\n\n{fill(text, _WIDTH)}"

    def add_shared(self, *names: str, **changes: Any) -> None:
        """Add arguments that several commands have.

        Args:
            names: Keys of the table of shared arguments.
            changes: What differs from the table in this command, e.g. ``help``.
        """
        for name in names:
            self.add_argument(name, **{**_SHARED[name], **changes})

    def add_commands(self) -> _Commands:
        """Add the commands of a command, e.g. ``show`` of ``ticket``."""
        return self.add_subparsers(  # type: ignore[return-value]
            title="commands", required=True, metavar="COMMAND", action=_Commands
        )

    def accept_old(self, old: str, new: str, suffix: str = "") -> None:
        """Keep an option's former name working, with a note that says the new one.

        Args:
            old: The former option, which took a value.
            new: The option of this parser that takes the value now.
            suffix: Ending of the values that belong to the former option. Others are left alone,
                for an option that now has another meaning.
        """
        self._old_spellings.append(_OldSpelling(old, new, suffix))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all arguments; those of a command are refused by its own parser, not the root's."""
        arguments = list(sys.argv[1:] if args is None else args)
        parsed, unknown = super().parse_known_args(self._renamed(arguments), namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            hint = _did_you_mean(option, list(self._option_string_actions))
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return parsed, unknown

    def _renamed(self, arguments: list[str]) -> list[str]:
        for place, argument in enumerate(arguments):
            option, equals, value = argument.partition("=")
            if not equals:
                value = "".join(arguments[place + 1 : place + 2])
            for old, new, suffix in self._old_spellings:
                if option == old and value.endswith(suffix):
                    arguments[place] = f"{new}{equals}{value}" if equals else new
                    note = printable(f"{old} {value} is now {new} {value}")
                    print(f"note: {note}", file=sys.stderr)
        return arguments

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            hint = _did_you_mean(str(value), names)
            raise argparse.ArgumentError(
                action, f"expected one of {', '.join(names)}, found {value}{hint}"
            )

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {printable(message)} (see {self.prog} --help)\n")


def _did_you_mean(typed: str, names: Sequence[str]) -> str:
    """The end of a message that names what is most like what was typed; empty if nothing is."""
    # An abbreviation is less like the whole name than another short name may be.
    begun = [name for name in names if name.startswith(typed)]
    near = begun or get_close_matches(typed, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg]
    """Commands of a command. One without a description is described by its help text."""

    def add_parser(  # type: ignore[override]
        self, name: str, *, help: str, **options: Any
    ) -> ArgumentParser:
        options.setdefault("description", f"{help[0].upper()}{help[1:]}.")
        parser: ArgumentParser = super().add_parser(name, help=help, **options)
        return parser


# -- what several commands do with their arguments -------------------------------------------------


def read_config(arguments: argparse.Namespace) -> Config:
    """Load the config that the command line names, with its ``--cfg-options``.

    Raises:
        ConfigError: The config cannot be read, or an option is malformed or does not fit.
    """
    from ean_transfer.engine.config import load_config

    return load_config(arguments.config, _cfg_options(arguments.cfg_options or []))


def _cfg_options(texts: Sequence[str]) -> dict[str, Any]:
    """The dict that mmengine makes of ``KEY=VALUE`` texts; only now, since it imports torch."""
    from mmengine.config import DictAction

    namespace = argparse.Namespace()
    try:
        DictAction(["--cfg-options"], dest="options")(ArgumentParser(), namespace, texts)
    except (AssertionError, IndexError):  # by mmengine, of brackets that do not match
        raise ConfigError(
            f"--cfg-options: expected brackets that match, found {' '.join(texts)}"
        ) from None
    options: dict[str, Any] = namespace.options
    return options


def read_options(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` texts; a VALUE is JSON, such as a number or true, or else text.

    Raises:
        ConfigError: A key comes twice.
    """
    options: dict[str, Any] = {}
    for key, _, text in (pair.partition("=") for pair in texts):
        if key in options:
            raise ConfigError(f"{key} is given twice")
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
