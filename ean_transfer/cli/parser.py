"""The argument parser, and every flag that several commands have: each is declared once, here.

Imports no torch, mmengine or numpy, so that ``--help`` is answered at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from textwrap import fill
from typing import Any, NamedTuple, NoReturn

from ean_transfer.cli.errors import BAD_INPUT
from ean_transfer.cli.values import at_least, key_value, new_file, positive, seed
from ean_transfer.io.files import expanded
from ean_transfer.io.terminal import printable

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
        type=expanded,
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
    "--data-option": dict(type=key_value, metavar="KEY=VALUE", action="append", default=[]),
    "--image-size": dict(type=at_least(1), metavar="PIXELS"),
    "--json": dict(action="store_true", help="print JSON instead of text"),
    "--out": dict(type=new_file, metavar="FILE", help="write the results to this file"),
    "--out-dir": dict(type=expanded, metavar="DIR", help="the folder where results are written"),
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
        if default is None or default is False or default in ("", [], argparse.SUPPRESS):
            return action.help
        text = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
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
