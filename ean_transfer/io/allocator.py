"""What the C library does with memory that a tensor has freed."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of glibc's <malloc.h>
_KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed tensors for new ones.

    glibc gives large pieces back to the system, which clears each page anew for the next tensor. On
    a CPU that is up to a fifth of the time of a training, and half of it below a Dask worker, which
    asks for even small pieces to be given back (docs/benchmark.md). The process keeps its largest
    size until it ends.

    Does nothing with other C libraries.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _KEPT)
            mallopt(_TRIM_THRESHOLD, _KEPT)
