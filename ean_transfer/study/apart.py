"""A search or run of a study in a process of its own, which ends with its parent process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ean_transfer.io.allocator import keep_freed_memory
from ean_transfer.io.terminal import printable, shortened

LOG = "log.txt"
"""What a search or run said, in its folder."""
FAILURE = "failed.txt"
"""The end of what a failed one said, in its folder; one that begins again removes it."""
_LINES = 20  # of the log in failed.txt


def call_apart(
    function: Callable[..., Any], argument: Any, folder: Path, threads: int | None, gpu: int | None
) -> str | None:
    """Call a function in a new process.

    The new process is forked from one that has the libraries loaded and has computed nothing, so
    it starts at once and no run sees what another one left. It is killed when the process that
    called dies. The function has to lock the folder: a process whose machine was lost from sight
    may still work there.

    Args:
        function: A function of a module, called with the argument.
        argument: Anything that can be pickled.
        folder: The run's folder, which gets the log.
        threads: Number of threads that torch computes with; ``None``: its default.
        gpu: Number of the only GPU that the process sees; ``None``: all.

    Returns:
        ``None``, or the last line of what went wrong; then ``failed.txt`` says more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = _context().Process(
        target=_call, args=(function, argument, folder, threads, gpu, sender)
    )
    process.start()
    sender.close()
    try:
        error = receiver.recv()
    except EOFError:  # it died before it could say anything
        error = None
    process.join()
    if process.exitcode == 0:
        return None
    if error is None:
        error = f"the process ended with {_ending(process.exitcode)}"
    log = (folder / LOG).read_text(errors="replace") if (folder / LOG).exists() else ""
    lines = [error, *log.splitlines()[-_LINES:]]
    (folder / FAILURE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return error


def _context() -> Any:
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ean_transfer.study.jobs", "ean_transfer.study.searches"])
    return context


def _call(
    function: Callable[..., Any],
    argument: Any,
    folder: Path,
    threads: int | None,
    gpu: int | None,
    sender: Connection,
) -> None:
    """What the new process does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with (folder / LOG).open("ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)
    keep_freed_memory()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    try:
        function(argument)
    except BaseException as error:
        traceback.print_exc()
        text = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
            text = f"stopped by {_ending(128 - error.code)}"
        sender.send(printable(shortened(text, 300)))  # a file's name may be no text
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """Kill this process when the one that started it dies: another one may do its run again."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _ending(exitcode: int) -> str:
    """What an exit code says, e.g. of a process that was killed because memory was short."""
    return signal.Signals(-exitcode).name if exitcode < 0 else f"exit code {exitcode}"
