"""The runs of a study on several workers at once.

Dask finds free workers, notices lost ones and does their runs again. Every run is a process of its
own on its worker (:mod:`~ean_transfer.study.apart`), which writes into the study's folder, so all
workers must see that folder by the same path.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ean_transfer.engine.workers import LOST_WORKERS, Workers
from ean_transfer.study.apart import call_apart
from ean_transfer.study.identity import RESULTS
from ean_transfer.study.jobs import Job, finish, train_and_test


def run_all(workers: Workers, jobs: Sequence[Job]) -> dict[Path, str]:
    """Train all runs that are not done, each after the one that it starts from.

    Runs that take the results of another one are left to :func:`~ean_transfer.study.jobs.finish`.

    One line is printed for each run that ends. A run that fails does not stop the others, but those
    that start from it.

    Returns:
        Folder of each failed run -> one line that says why.
    """
    from distributed import as_completed

    trained = [job for job in jobs if job.same_as is None]
    waiting = [job for job in trained if not (job.folder / RESULTS).exists()]
    unfinished = {job.folder for job in waiting}
    running: dict[Any, Job] = {}  # by the key of its future
    failures: dict[Path, str] = {}
    completed = as_completed()
    while unfinished:
        # No more than can run: Dask would share out the others at once, and as it does not know how
        # long a run takes, it would leave some behind a run on a busy worker while others are idle.
        free = sum(workers.client.nthreads().values()) - len(running)
        ready = [job for job in waiting if job.start not in unfinished]
        for job in ready[: max(free, 0 if running else 1)]:
            waiting.remove(job)
            future = workers.client.submit(
                _do,
                job,
                None if job.start is None else failures.get(job.start),
                workers.threads,
                workers.gpus,
                key=f"{job.label} ({job.folder})",
                pure=False,
            )
            running[future.key] = job
            completed.add(future)
        future = next(completed)
        job, error = running.pop(future.key), future.exception()
        if error is None:
            problem = future.result()
        else:
            problem = f"{LOST_WORKERS} workers that did it were lost ({type(error).__name__})"
        unfinished.remove(job.folder)
        done = len(trained) - len(unfinished)
        print(f"[{done}/{len(trained)}] {job.label}: {problem or 'done'}", flush=True)
        if problem is not None:
            failures[job.folder] = problem
    return failures


def _do(job: Job, start_failed: str | None, threads: int | None, gpus: int) -> str | None:
    """Do one run on a worker; one line if it failed."""
    if start_failed is not None:
        return f"left out, as the run that it starts from failed: {start_failed}"
    gpu = None
    if gpus:
        from distributed import get_worker

        gpu = int(get_worker().name) % gpus  # local workers are numbered
    return call_apart(finish_job, job, job.folder, threads, gpu)


def finish_job(job: Job) -> None:
    """Do a run unless it is done."""
    finish(job, train_and_test)
