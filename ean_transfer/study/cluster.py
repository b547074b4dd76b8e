"""The searches and runs of a study on several workers at once.

Dask finds free workers, notices lost ones and does their work again. Each search and run is a
process of its own on its worker (:mod:`~ean_transfer.study.apart`), which writes into the study's
folder, so all workers must see that folder by the same path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, Protocol

from ean_transfer.engine.workers import LOST_WORKERS, Workers
from ean_transfer.errors import TrainingError
from ean_transfer.io.terminal import shortened
from ean_transfer.study.apart import LOG, call_apart

_PAUSE = 1.0  # seconds between two looks at the workers


class Work(Protocol):
    """A search or a run."""

    @property
    def label(self) -> str:
        """What a line about it begins with."""

    @property
    def folder(self) -> Path:
        """Its folder, in which it goes on where it was stopped."""

    @property
    def start(self) -> Path | None:
        """Folder of the one that it starts from."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""


def do_all(workers: Workers, work: Sequence[Work], do: Callable[[Any], object]) -> None:
    """Do all that is not done, each after the one that it starts from.

    One line is printed for each that ends; what it says meanwhile is in its folder's log. One that
    fails does not stop the others, but those that start from it.

    Args:
        workers: The workers.
        work: What there is to do.
        do: Does one, in a process of its own; a function of a module.

    Raises:
        TrainingError: Some failed; what does not start from them was done.
    """
    from distributed import as_completed

    waiting = [one for one in work if not one.done]
    unfinished = {one.folder for one in waiting}
    running: dict[Any, Work] = {}  # by the key of its future
    failures: dict[Path, str] = {}
    completed = as_completed()
    while unfinished:
        ready = [one for one in waiting if one.start not in unfinished]
        # No more than can run: Dask would share out the others at once, and as it does not know how
        # long one takes, it would leave some behind a busy worker while others are idle.
        free = sum(workers.client.nthreads().values()) - len(running) if ready else 0
        for one in ready[: max(free, 0 if running else 1)]:
            waiting.remove(one)
            future = workers.client.submit(
                _do,
                do,
                one,
                None if one.start is None else failures.get(one.start),
                workers.threads,
                workers.gpus,
                key=f"{one.label} ({one.folder})",
                pure=False,
            )
            running[future.key] = one
            completed.add(future)
        if len(ready) > max(free, 0) and not completed.has_ready():
            time.sleep(_PAUSE)  # and look again, as workers may have joined
            continue
        future = next(completed)
        one = running.pop(future.key)
        problem = _problem(future, one)
        unfinished.remove(one.folder)
        done = len(work) - len(unfinished)
        print(f"[{done}/{len(work)}] {one.label}: {problem or 'done'}", flush=True)
        if problem is not None:
            failures[one.folder] = problem
    if failures:
        first = next(one for one in work if one.folder in failures)
        raise TrainingError(
            f"{len(failures)} of {len(work)} failed, the first one: {first.label}: "
            f"{failures[first.folder]}; see {first.folder / LOG}, and type the command again to do "
            "what failed anew"
        )


def _problem(future: Any, work: Work) -> str | None:
    """One line of what went wrong with a search or a run that has ended."""
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, CancelledError):  # the scheduler was lost
        raise error
    if isinstance(error, KilledWorker):
        return f"{LOST_WORKERS} workers that did it were lost"
    if error is not None:
        return shortened(f"{type(error).__name__}: {error}", 300)
    problem: str | None = future.result()
    if problem is None and not work.done:
        return "a worker did it in another place: all must see this folder by one path"
    return problem


def _do(
    do: Callable[[Any], object],
    work: Work,
    start_failed: str | None,
    threads: int | None,
    gpus: int,
) -> str | None:
    """Do a search or a run on a worker; one line if it failed."""
    if start_failed is not None:
        return f"left out, as the run that it starts from failed: {start_failed}"
    gpu = None
    if gpus:
        from distributed import get_worker

        gpu = int(get_worker().name) % gpus  # local workers are numbered
    return call_apart(do, work, work.folder, threads, gpu)
