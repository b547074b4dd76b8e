"""What the C library does with memory that a tensor has freed."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of glibc's <malloc.h>
_KEPT = 2**30  # bytes
_LARGEST_IN_OLD = 2**25  # bytes: an older glibc (2.31) refuses a larger threshold of mmap


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
            # Setting one threshold ends glibc's own adjustment of both: where the larger value is
            # refused, mmap's would stay at 128 KB, and every tensor above it be given back.
            mallopt(_MMAP_THRESHOLD, _LARGEST_IN_OLD)
            mallopt(_MMAP_THRESHOLD, _KEPT)
            mallopt(_TRIM_THRESHOLD, _KEPT)
