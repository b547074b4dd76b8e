"""The program ``ean``: finds the command that was typed, imports only its module, and runs it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

from ean_transfer import __version__
from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.paths import require_paths
from ean_transfer.io.allocator import keep_freed_memory
from ean_transfer.io.notices import everything_shown

COMMANDS = {
    "init": "Look at a folder of labelled images, and write a project: the configs for all.",
    "run": "Run a project: search a ticket, train none, full and the ticket, write a page.",
    "search": "Search where to connect attention, and write the answer as a ticket.",
    "train": "Train a network for classification, segmentation or crowd counting.",
    "test": "Evaluate a checkpoint on the test set.",
    "predict": "Classify, segment or count in your own images and videos.",
    "ticket": "Show, convert, compare and check tickets.",
    "study": "Search a ticket, compare networks over tasks and seeds, write a table and a page.",
    "configs": "List the configs that come with the package.",
    "export": "Write a trained network as ONNX, as torch.export's .pt2 or as a folded checkpoint.",
    "dataset": "Check a data set's folder, or look at augmented training samples.",
    "inspect": "Look inside trained networks: Grad-CAM, similarity, robustness, label maps.",
    "fold": "Show what attention is worth, and what a network loses when it is folded away.",
    "benchmark": "Measure the search, the costs of attention and the speed (in the repository).",
}
"""Command -> what it does, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the entry point of the program ``ean``.

    Args:
        arguments: The command and its arguments; those of this process by default.

    Returns:
        The exit code.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    contents = "\n".join(f"  {name:10} {line}" for name, line in COMMANDS.items())
    parser = ArgumentParser(
        prog="ean", usage="ean COMMAND ...", epilog="'ean COMMAND --help' explains a command."
    )
    parser.description = (
        "Find where to plug attention into a CNN, and carry the answer to other tasks.\n\n"
        f"commands:\n{contents}"
    )
    parser.add_argument("--version", action="version", version=__version__)
    if not typed:
        parser.print_help()
        return 0
    if typed[0] not in COMMANDS:
        if typed[0].startswith("-"):
            parser.parse_args(typed[:1])
        parser.error(f"expected one of {', '.join(COMMANDS)}, found {typed[0]}")
    return run_command(typed[0], typed[1:], prog=f"ean {typed[0]}")


def command_parser(command: str, prog: str) -> ArgumentParser:
    """Import a command's module and build its parser.

    Args:
        command: Name of the command.
        prog: What usage texts call the program.
    """
    parser = ArgumentParser(prog=prog, description=COMMANDS[command])
    import_module(f"ean_transfer.cli.{command}").add_arguments(parser)
    return parser


@friendly_errors()
def run_command(
    command: str, arguments: Sequence[str] | None = None, prog: str | None = None
) -> int:
    """Run one command; ``tools/COMMAND.py`` does nothing else.

    Args:
        command: Name of the command.
        arguments: The command's arguments; those of this process by default.
        prog: What usage texts call the program; the script in ``tools`` by default.

    Returns:
        The exit code.
    """
    parser = command_parser(command, prog or f"python tools/{command}.py")
    parsed = parser.parse_args(arguments)
    require_paths(parsed)
    keep_freed_memory()
    again = _continuing(parser.prog, sys.argv[1:] if arguments is None else arguments, parsed)
    with friendly_errors(again), everything_shown(getattr(parsed, "verbose", False)):
        code: int | None = parsed.run(parsed)
    sys.stdout.flush()  # so that a reader who has left (`| head`) is noticed here
    return code or 0


def _continuing(prog: str, typed: Sequence[str], parsed: argparse.Namespace) -> str | None:
    """The command line that continues what was interrupted; ``None`` if nothing can be continued.

    Studies and projects need no ``--resume``: they always continue what their folder holds.
    """
    resumes = hasattr(parsed, "resume")
    if not (resumes or parsed.run.__module__.endswith((".study", ".cli.run"))):
        return None
    missing = ["--resume"] if resumes and not parsed.resume else []
    return f"{prog} {shlex.join([*typed, *missing])}"


if __name__ == "__main__":
    sys.exit(main())
