"""Bad input as one line instead of a traceback: the handler around every command."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from traceback import walk_tb

from ean_transfer.errors import EANError
from ean_transfer.io.terminal import printable, shortened

BAD_INPUT = 2
"""Exit code for wrong usage or bad input, the same as argparse's."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, the same as the shell's (128 + SIGINT)."""


_STOPPED = (INTERRUPTED, 138, 143)  # after Ctrl-C, SIGUSR1 and SIGTERM


@contextmanager
def friendly_errors(again: str | None = None) -> Iterator[None]:
    """Turn bad input into ``error: <one line>`` and exit code 2; a context manager or decorator.

    It covers the toolkit's own errors, also those from a data loader's worker, the file system's,
    and an OpenCV that lacks a library of the system. Any other exception is a bug and keeps its
    traceback. With the environment variable ``EAN_TRACEBACK=1`` every traceback is kept.

    Args:
        again: The command line that continues what a signal has stopped, which is then shown.

    Raises:
        SystemExit: One of the covered errors was raised, or Ctrl-C was pressed.
    """
    try:
        with warnings.catch_warnings():
            # mmcv warns at import that it has no compiled operators; nothing here needs them.
            warnings.filterwarnings("ignore", message="Fail to import", category=UserWarning)
            # mmseg advises the opposite of each loss with weights of classes, where it then fails;
            # without it, such a loss averages over the pixels that are not ignored all the same.
            warnings.filterwarnings("ignore", "Default ``avg_non_ignore`` is False", UserWarning)
            yield
    except SystemExit as stop:  # of a training that has saved what it did, see StopHook
        if again and stop.code in _STOPPED and _is_first_process():
            print(f"go on with: {again}", file=sys.stderr)
        raise
    except BrokenPipeError:
        # The reader (`| head`) has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (EANError, OSError, KeyboardInterrupt, ImportError) as error:
        is_bug = isinstance(error, ImportError) and not _is_opencvs_library(error)
        if is_bug or os.environ.get("EAN_TRACEBACK"):
            raise
        if isinstance(error, KeyboardInterrupt):
            go_on = f": go on with: {again}" if again and _is_first_process() else ""
            line, code = f"interrupted{go_on}", INTERRUPTED
        else:
            line, code = f"error: {shortened(printable(_one_line(error)), 2000)}", BAD_INPUT
        print(line, file=sys.stderr)
        raise SystemExit(code) from None


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _is_opencvs_library(error: ImportError) -> bool:
    """Whether OpenCV lacks a library of the system, as on machines without a screen."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return "cv2" in names and "cannot open shared object file" in str(error)


def _one_line(error: EANError | OSError | ImportError) -> str:
    if isinstance(error, ImportError):
        library = str(error).partition(":")[0]
        return (
            f"expected {library}, which opencv-python needs, found no such library here: "
            "pip install --no-deps --force-reinstall opencv-python-headless=="
            f"{_version_of('opencv-python')}"
        )
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if lines[0].startswith("Caught ") and len(lines) > 1:
        # torch raises a worker's error again with the worker's traceback as its message.
        return re.sub(r"^[\w.]+: ", "", lines[-1])
    return " ".join(lines)


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "VERSION"  # of the OpenCV that is installed under another name
