"""Progress bars for steps that take long; lines now and then where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import Any

from mmengine.dist import is_main_process
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SECONDS_PER_LINE = 60.0


def progress_bar() -> Progress:
    """A progress bar on the error stream, or a line a minute where that is no terminal."""
    on_terminal = sys.stderr.isatty()
    return (Progress if on_terminal else _ProgressLines)(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not (on_terminal and is_main_process()),
    )


class _ProgressLines(Progress):
    """Prints a line from time to time instead of drawing: a log or CI shows no animation."""

    def __init__(self, *columns: Any, **options: Any) -> None:
        super().__init__(*columns, **options)
        self._last_line = time.monotonic()

    def update(self, task_id: TaskID, *arguments: Any, **fields: Any) -> None:
        super().update(task_id, *arguments, **fields)
        self._print(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._print(task_id)

    def _print(self, task_id: TaskID) -> None:
        if time.monotonic() - self._last_line < _SECONDS_PER_LINE or not is_main_process():
            return
        self._last_line = time.monotonic()
        task = next(task for task in self.tasks if task.id == task_id)
        left = task.time_remaining
        facts = [
            f"{task.description}: {task.completed:g} of {task.total or 0:g}",
            str(task.fields.get("note", "")),
            "" if left is None else f"about {max(1, round(left / 60))} min left",
        ]
        print(", ".join(filter(None, facts)), file=sys.stderr, flush=True)
