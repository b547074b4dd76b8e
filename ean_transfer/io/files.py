"""Writing files safely: in one step, and never over a file of somebody else."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ean_transfer.errors import ConfigError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

# Errors of a file system without locks, as Lustre mounted without flock.
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
_PARTIAL = re.compile(r"\..+\.(?P<process>\d+)\.partial(\.[^.]+)?")


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with the home folder in place of ``~``; that of an unknown user is left as it is."""
    return Path(os.path.expanduser(path))


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``file``, of the same suffix; on success it replaces ``file``.

    An error or an interruption leaves the old file whole, and so does a loss of power: the new one
    is on the disk before it takes the old one's place. What killed processes left is removed.
    """
    _remove_abandoned(file.parent)
    partial = file.with_name(f".{file.stem}.{os.getpid()}.partial{file.suffix}")
    try:
        partial.touch()  # a folder without write access is noticed before any work
        yield partial
        flush(partial)
        os.replace(partial, file)
        with suppress(OSError):  # some file systems cannot flush a folder
            flush(file.parent)
    except OSError as error:  # a full disk names no file
        if error.errno and error.filename in (None, str(partial)):
            error.filename = str(file)
        raise
    except RuntimeError as error:
        if "inline_container" not in str(error):  # where torch.save writes
            raise
        problem = "cannot be written; is the disk full?"
        raise OSError(errno.EIO, problem, str(file)) from error
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote into a folder."""
    for partial in folder.glob(".*.partial*"):
        name = _PARTIAL.fullmatch(partial.name)
        if name and not _is_running(int(name["process"])):
            partial.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where the next call would end the process
        return True
    try:
        os.kill(process, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(file: Path, text: str, errors: str = "strict") -> None:
    """Write a text file in one step: a reader sees the old text or the new one, never a part.

    Args:
        file: The file.
        text: Its text.
        errors: What is done with characters that UTF-8 lacks, see :func:`open`.
    """
    with replacing(file) as partial:
        partial.write_text(text, encoding="utf-8", errors=errors)


@contextmanager
def locked(folder: Path, *, wait: bool) -> Iterator[None]:
    """Have a folder to oneself among the processes that ask for it; ends with the process.

    Where the system or the file system has no such locks (Windows, some of clusters), nothing is
    locked.

    Args:
        folder: The folder, which gets an empty file ``.lock``.
        wait: Whether to wait for another process that has it.

    Raises:
        ConfigError: Another process has it, and this one does not wait.
    """
    if fcntl is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ConfigError(
                f"{folder}: another process works in this folder: wait for it, or choose another "
                "folder"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield


def file_hash(path: str | os.PathLike[str], digits: int = 16) -> str:
    """The first hex digits of a file's SHA-256, which has 64."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:digits]


def require_writable(file: Path) -> None:
    """Refuse a file in a folder without write access, before the work whose result it gets.

    Args:
        file: Path that will be written; folders of it may be missing, and are made later.

    Raises:
        ConfigError: The folder, or the one that it would be made in, cannot be written to.
    """
    folder = next(parent for parent in file.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        kind = "cannot be written to" if folder.is_dir() else "is a file"
        raise ConfigError(
            f"{file}: expected a folder with write access, found {folder}, which {kind}: choose "
            "another"
        )


def refuse_to_replace(
    files: Iterable[Path], expected: str, is_ours: Callable[[Path], bool] = lambda file: False
) -> None:
    """Refuse to overwrite files that the same command did not write, or that cannot be written.

    Args:
        files: Paths that are about to be written.
        expected: Name of what the user should choose instead, e.g. ``"a new folder"``.
        is_ours: Test whether an existing file may be replaced, because an earlier run of the same
            command wrote it; by default none may.

    Raises:
        ConfigError: A file exists and is not ours, or its folder cannot be written to.
    """
    files = list(files)
    for file in {file.parent: file for file in files}.values():
        require_writable(file)
    for file in files:
        if file.exists() and not is_ours(file):
            raise ConfigError(
                f"{file}: expected {expected}, found a file that would be replaced: choose another"
            )
