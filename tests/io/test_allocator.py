"""Freed memory is kept for what comes next."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import resource
import numpy as np
from ean_transfer.io.allocator import keep_freed_memory

{call}
for _ in range(11):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones({length})
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


OLD_GLIBC = """
mallopt = ctypes.CDLL(None).mallopt
class Old:  # refuses what glibc 2.31 does
    def mallopt(number, value):
        return 0 if number == -3 and value > 2**25 else mallopt(number, value)
ctypes.CDLL = lambda name: Old
"""
CALL = "keep_freed_memory()"


def new_pages(call: str, length: int) -> int:
    """Pages of memory that the system gives a program for the last of eleven equal arrays."""
    command = [sys.executable, "-c", PROGRAM.format(call=call, length=length)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_an_array_gets_the_memory_of_the_one_before() -> None:
    large, small = 2**22, 2**17  # numbers: 32 MB and 1 MB
    assert new_pages("", large) >= 16 > new_pages(CALL, large)
    assert new_pages(OLD_GLIBC + CALL, small) < 16
