"""What the command line tools share: one line for bad input, and no traceback.

Imports no torch: ``--help`` and the tools that only read tickets start at once.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ean_transfer.errors import ConfigError, EANError

BAD_INPUT = 2
"""Exit code for a wrong usage or bad input, argparse's own."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, the shell's own (128 + SIGINT)."""


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


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn errors that are the input's fault into ``error: <one line>`` and exit code 2.

    For use as ``@friendly_errors()`` on a tool's ``main`` or in a ``with`` statement. It covers the
    toolkit's own errors, also from a data loader's worker, files that cannot be opened, and words
    of a config that mmengine does not know; any other exception is a bug and keeps its traceback.
    With the environment variable
    ``EAN_TRACEBACK=1`` every traceback is kept.

    Raises:
        SystemExit: In place of the errors it covers.
    """
    # mmpretrain says at each import that mmcv has no compiled ops; nothing here needs them.
    warnings.filterwarnings("ignore", message="Fail to import", category=UserWarning)
    try:
        yield
    except BrokenPipeError:
        # The reader (`| head`) has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (EANError, OSError, TypeError, KeyError) as error:
        line = _one_line(error) if isinstance(error, (EANError, OSError)) else _config_error(error)
        if line is None or os.environ.get("EAN_TRACEBACK"):
            raise
        print(f"error: {printable(line)}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None
    except KeyboardInterrupt:
        if os.environ.get("EAN_TRACEBACK"):
            raise
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def printable(text: str) -> str:
    """The text with everything but visible characters and spaces written as an escape.

    Text from a stranger's file must not move the cursor, recolour or reverse what a terminal shows.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _config_error(error: TypeError | KeyError) -> str | None:
    """What building from a config says of an unknown type or argument; ``None`` for other errors,
    which are bugs."""
    text = str(error.args[0]) if error.args else ""
    known = r".* is not in the \S+ registry|.* got an unexpected keyword argument '\w+'"
    found = re.match(known, text)
    return f"the config does not fit: {found[0]} (EAN_TRACEBACK=1 shows where)" if found else None


def _one_line(error: EANError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if lines[0].startswith("Caught ") and len(lines) > 1:
        # torch raises a worker's error again with the worker's traceback as its message.
        return re.sub(r"^[\w.]+: ", "", lines[-1])
    return " ".join(lines)
