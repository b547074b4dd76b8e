"""Masks scored on several workers at once; open this to see what is sent where."""

from __future__ import annotations

from concurrent.futures import CancelledError
from itertools import pairwise
from threading import Lock
from typing import Any

import torch

from ean_transfer.io.allocator import keep_freed_memory
from ean_transfer.supernet import MaskEvaluator, Outcome
from ean_transfer.ticket.mask import Mask

_ONE_AT_A_TIME = Lock()  # the threads of a worker share one supernet, whose mask is set
_GROUPS = 2  # per worker, so that no worker waits long for the last one


class ScoringWorkers:
    """Scores masks on Dask's workers; what :attr:`MaskEvaluator.elsewhere` is set to.

    The supernets, and how to read the held-out images, are sent to each worker once. A worker reads
    the images itself, and keeps them as a single process does. Masks that share their first bits
    are scored by the same worker. Scores are those of a single process with as many threads. Masks
    of a worker that is lost are scored by another one.

    Args:
        client: Dask's client.
        threads: Number of threads that a worker computes with; ``None``: torch's default there.
    """

    def __init__(self, client: Any, threads: int | None = None) -> None:
        self.client = client
        self.threads = threads
        self._sent: dict[int, tuple[MaskEvaluator, Any]] = {}  # by identity: evaluator, and future

    def __call__(self, evaluator: MaskEvaluator, masks: list[Mask]) -> dict[Mask, Outcome]:
        """Score masks, which are in the order of their bits, on an evaluator's supernets."""
        if id(evaluator) not in self._sent:
            # With the evaluator, whose identity must not be given to another one.
            future = self.client.scatter(evaluator.unread(), broadcast=True, hash=False)
            self._sent[id(evaluator)] = evaluator, future
        _, future = self._sent[id(evaluator)]
        groups = min(len(masks), _GROUPS * max(1, len(self.client.nthreads())))
        ends = [len(masks) * index // groups for index in range(groups + 1)]
        parts = [masks[start:end] for start, end in pairwise(ends)]
        futures = [
            self.client.submit(_score, future, part, self.threads, pure=False) for part in parts
        ]
        outcomes: dict[Mask, Outcome] = {}
        try:
            for part in self.client.gather(futures):
                outcomes.update(part)
        except CancelledError:
            # Dask keeps what nobody computes with on a single worker, and this one is lost.
            del self._sent[id(evaluator)]
            return self(evaluator, masks)
        return outcomes


def _score(evaluator: MaskEvaluator, masks: list[Mask], threads: int | None) -> Any:
    keep_freed_memory()
    with _ONE_AT_A_TIME:
        if threads is not None:
            torch.set_num_threads(threads)
        return evaluator.outcomes(masks)
