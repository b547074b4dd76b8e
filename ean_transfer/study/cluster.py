"""The runs of a study on several workers at once, by Dask distributed (``ean-transfer[scale]``).

Dask finds free workers, notices lost ones and does their runs again. Every run is a process of its
own on its worker (:mod:`~ean_transfer.study.apart`), which writes into the study's folder, so all
workers must see that folder by the same path.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ean_transfer.errors import ConfigError
from ean_transfer.study.apart import call_apart
from ean_transfer.study.identity import RESULTS
from ean_transfer.study.jobs import Job, finish, train_and_test

if TYPE_CHECKING:
    from distributed import Client

LOST_WORKERS = 3  # a run whose worker was lost so often is a failure


class Workers:
    """Workers that do a study's runs.

    Args:
        client: Dask's client of a scheduler that runs.
        threads: Number of threads of each run; ``None``: torch's default.
        gpus: Number of GPUs of each machine, shared out if there are several.
    """

    def __init__(self, client: Client, threads: int | None = None, gpus: int = 0) -> None:
        self.client = client
        self.threads = threads
        self.gpus = gpus

    def run_all(self, jobs: Sequence[Job]) -> dict[Path, str]:
        """Do all runs that are not done, each after the one that it starts from.

        One line is printed for each run that ends. A run that fails does not stop the others, but
        those that start from it.

        Returns:
            Folder of each failed run -> one line that says why.
        """
        from distributed import as_completed

        waiting = [job for job in jobs if not (job.folder / RESULTS).exists()]
        futures: dict[Any, Any] = {}
        for job in waiting:
            futures[job.folder] = self.client.submit(
                _do,
                job,
                futures.get(job.start),  # which Dask waits for
                self.threads,
                self.gpus,
                key=f"{job.label} ({job.folder})",
                pure=False,
            )
        jobs_by_key = {futures[job.folder].key: job for job in waiting}
        failures: dict[Path, str] = {}
        done = len(jobs) - len(waiting)
        for future in as_completed(futures.values()):
            job = jobs_by_key[future.key]
            error = future.exception()
            problem = future.result() if error is None else _lost(error)
            done += 1
            print(f"[{done}/{len(jobs)}] {job.label}: {problem or 'done'}", flush=True)
            if problem is not None:
                failures[job.folder] = problem
        return failures


def _do(job: Job, start_failed: str | None, threads: int | None, gpus: int) -> str | None:
    """Do one run on a worker; one line if it failed."""
    if start_failed is not None:
        return f"left out, as the run that it starts from failed: {start_failed}"
    gpu = None
    if gpus > 1:
        from distributed import get_worker

        gpu = int(get_worker().name) % gpus  # local workers are numbered
    return call_apart(finish_job, job, job.folder, threads, gpu)


def finish_job(job: Job) -> None:
    """Do a run unless it is done."""
    finish(job, train_and_test)


def _lost(error: BaseException) -> str:
    return f"{LOST_WORKERS} workers that did it were lost ({type(error).__name__}: {error})"


@contextmanager
def open_workers(
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: str | None = None,
    timeout: float = 30,
) -> Iterator[Workers]:
    """Start workers on this machine, or use those of a scheduler that runs; local ones end here.

    Args:
        workers: Number of workers to start; the cores are divided among them.
        scheduler: Address of a scheduler, e.g. ``tcp://host:8786``.
        scheduler_file: File in which ``dask scheduler --scheduler-file`` wrote its address.
        timeout: Seconds to wait for a scheduler's answer.

    Raises:
        ConfigError: Dask is not installed, or no scheduler answers.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError("several workers need Dask: pip install 'ean-transfer[scale]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost worker's every message
    # A worker starts a process for each run, which Python refuses to those marked as daemons.
    settings = {
        "distributed.worker.daemon": False,
        "distributed.scheduler.allowed-failures": LOST_WORKERS - 1,
    }
    with dask.config.set(settings):
        if workers is None:
            try:
                client = Client(scheduler, scheduler_file=scheduler_file, timeout=timeout)
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"{scheduler or scheduler_file}: expected a Dask scheduler that answers, found "
                    f"none ({type(error).__name__}); start one with 'dask scheduler'"
                ) from None
            with client:
                yield Workers(client)
            return
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # one run at a time
                processes=True,
                dashboard_address=None,
                memory_limit=0,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield Workers(client, max(1, _cores() // workers), _gpus())


def _cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
