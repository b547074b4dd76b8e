"""What of a run's log reaches the terminal: problems and notices, and with ``--verbose`` the rest.

A run logs hundreds of lines, which all go to its log file. A line for a person is logged by
:func:`notice`, and the logger's :class:`TerminalHandler` shows it as it is.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO

_FOR_TERMINAL = "for_terminal"  # attribute of a record that is a notice
# mmengine says these of its own workings, and no user can do anything about them.
_NOT_FOR_USERS = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    "resumed key: ",
    "The prefix is not set in metric class",
    "init_weights of ",  # has been called more than once: when weights are loaded, and by mmengine
)
_EVERYTHING: ContextVar[bool] = ContextVar("everything", default=False)


def notice(logger: logging.Logger, text: str, label: str = "") -> None:
    """Log a text that is also shown on the terminal, without time and level.

    Args:
        logger: A run's logger.
        text: One line or several.
        label: What the text is of, see :func:`labelled`.
    """
    logger.info(labelled(label, text) if label else text, extra={_FOR_TERMINAL: True})


def labelled(label: str, text: str) -> str:
    """The text in a column of its own, with a label of at most 11 characters before it."""
    return "\n".join(
        f"{'' if number else label:12}{line}".rstrip()
        for number, line in enumerate(text.splitlines())
    )


@contextmanager
def everything_shown(shown: bool = True) -> Iterator[None]:
    """Context manager in which new runs show their whole log on the terminal; ``--verbose``."""
    token = _EVERYTHING.set(shown)
    try:
        yield
    finally:
        _EVERYTHING.reset(token)


class TerminalHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Shows on standard error what a person should read of a log.

    The stream is looked up for each line, so that lines and a progress bar do not tear each other.

    Args:
        replaced: The handler whose level, filters and format it takes over.
        quiet: Whether to leave out the notices, and show problems alone.
    """

    def __init__(self, replaced: logging.Handler, quiet: bool) -> None:
        logging.Handler.__init__(self, replaced.level)
        self.everything = _EVERYTHING.get()
        self.quiet = quiet
        self.filters = list(replaced.filters)
        self.formatter = replaced.formatter

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The error stream of this moment."""
        return sys.stderr

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        is_notice = not self.quiet and getattr(record, _FOR_TERMINAL, False)
        shown = self.everything or _is_problem(record) or is_notice
        return bool(shown and super().filter(record))

    def format(self, record: logging.LogRecord) -> str:
        """A problem with its level, a notice as it is; the whole log with times as in its file."""
        if self.everything:
            return super().format(record)
        level = f"{record.levelname.lower()}: " if _is_problem(record) else ""
        return f"{level}{record.getMessage()}"


def _is_problem(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING and not str(record.msg).startswith(_NOT_FOR_USERS)


def set_terminal(logger: logging.Logger, quiet: bool = False) -> None:
    """Make a logger show on the terminal only what a person should read.

    Args:
        logger: A run's logger, which is changed.
        quiet: Whether even notices go to the file alone, for programs that run many trainings and
            report on them themselves.
    """
    logger.handlers = [
        handler if isinstance(handler, logging.FileHandler) else TerminalHandler(handler, quiet)
        for handler in logger.handlers
    ]


def log_file(logger: logging.Logger) -> Path | None:
    """The file that a logger writes."""
    files = [h.baseFilename for h in logger.handlers if isinstance(h, logging.FileHandler)]
    return Path(files[0]) if files else None
