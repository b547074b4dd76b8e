"""One line for bad input, and no traceback."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ean_transfer.errors import EANError
from ean_transfer.io.terminal import printable

BAD_INPUT = 2
"""Exit code for a wrong usage or bad input, argparse's own."""


INTERRUPTED = 130
"""Exit code after Ctrl-C, the shell's own (128 + SIGINT)."""


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
