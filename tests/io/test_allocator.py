"""Freed memory is kept for what comes next."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from ean_transfer.io.allocator import keep_freed_memory

{call}
for _ in range(11):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**22)  # 32 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(call: str) -> int:
    """Pages of memory that the system gives a program for the last of eleven equal arrays."""
    command = [sys.executable, "-c", PROGRAM.format(call=call)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_an_array_gets_the_memory_of_the_one_before() -> None:
    assert new_pages("") >= 16 > new_pages("keep_freed_memory()")
