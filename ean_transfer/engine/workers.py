"""Workers on this machine or on a cluster, by Dask distributed (``ean-transfer[scale]``)."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ean_transfer.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from distributed import Client

LOST_WORKERS = 3
"""A task whose worker was lost so often is given up."""


@dataclass(frozen=True)
class Workers:
    """Workers that wait for tasks.

    Attributes:
        client: Dask's client of their scheduler.
        threads: Number of threads that a worker computes with; ``None``: as many as it has for
            itself, which Dask sets to 1 by ``OMP_NUM_THREADS`` unless it is set.
        gpus: Number of GPUs that the workers of this machine share out; 0: each sees all.
        cores: Number of cores that the workers of this machine share out; ``None`` where the number
            of threads is not ours to choose.
    """

    client: Client
    threads: int | None = None
    gpus: int = 0
    cores: int | None = None

    def among(self, tasks: int) -> Workers:
        """The workers for that many tasks: fewer tasks than workers have more threads each."""
        if self.cores is None:
            return self
        return replace(self, threads=max(self.threads or 1, self.cores // tasks))


@contextmanager
def open_workers(
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: str | None = None,
    timeout: float = 30,
) -> Iterator[Workers]:
    """Start workers on this machine, or use those of a scheduler that runs; local ones end here.

    Args:
        workers: Number of workers to start; the cores are divided among them, unless the
            environment variable ``OMP_NUM_THREADS`` says how many threads each computes with.
        scheduler: Address of a scheduler, e.g. ``tcp://host:8786``.
        scheduler_file: File in which ``dask scheduler --scheduler-file`` wrote its address.
        timeout: Seconds to wait for the file, and then for a scheduler's answer.

    Raises:
        ConfigError: Dask is not installed, or no scheduler answers, or there is no such file.
        TrainingError: The scheduler was lost during the work.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError("several workers need Dask: pip install 'ean-transfer[scale]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost worker's every message
    settings: dict[str, Any] = {
        # A worker starts a process for each run, which Python refuses to those marked as daemons.
        "distributed.worker.daemon": False,
        "distributed.scheduler.allowed-failures": LOST_WORKERS - 1,
        # Looking every few milliseconds what it does takes each process 4 % of a core.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
    }
    with dask.config.set(settings):
        if workers is None:
            if scheduler_file is not None:
                _wait_for(scheduler_file, timeout)
            try:
                client = Client(scheduler, scheduler_file=scheduler_file, timeout=timeout)
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"{scheduler or scheduler_file}: expected a Dask scheduler that answers, found "
                    f"none ({type(error).__name__}); start one with 'dask scheduler'"
                ) from None
            with client, _lost_scheduler_in_one_line():
                yield Workers(client)
            return
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # one task at a time
                processes=True,
                dashboard_address="127.0.0.1:0",  # a free port, since two studies may run here
                memory_limit=0,
            ) as cluster,
            Client(cluster) as client,
        ):
            gpus = torch.cuda.device_count()
            gpus = gpus if gpus > 1 else 0
            # Results depend on the number of threads in their last bits: whoever sets it keeps it.
            said, *_ = os.environ.get("OMP_NUM_THREADS", "").split(",")  # one number per nesting
            if said:
                yield Workers(client, int(said), gpus)
            else:
                yield Workers(client, max(1, _cores() // workers), gpus, _cores())


def _wait_for(scheduler_file: str, seconds: float) -> None:
    """Wait for the file of a scheduler that is about to start; Dask itself would wait for ever."""
    end = time.monotonic() + seconds
    while not Path(scheduler_file).is_file():
        if time.monotonic() > end:
            raise ConfigError(
                f"{scheduler_file}: expected the file of a Dask scheduler, found none in "
                f"{seconds:g} s; start one with 'dask scheduler --scheduler-file {scheduler_file}'"
            )
        time.sleep(0.1)


@contextmanager
def _lost_scheduler_in_one_line() -> Iterator[None]:
    from distributed.comm import CommClosedError

    try:
        yield
    except (CancelledError, CommClosedError) as error:  # of a task that waits, of a new one
        raise TrainingError(
            f"the Dask scheduler was lost ({type(error).__name__}); what is finished is kept, and "
            "the same command goes on (a search with --resume) once a scheduler runs"
        ) from None


def _cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
