"""JSON files: data classes (tickets, cost tables, Pareto fronts) and records with a checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from typing_extensions import Self

from ean_transfer.errors import ConfigError, EANError
from ean_transfer.io.checked import Checked, first_problem
from ean_transfer.io.files import write_atomically

# The largest such file has some kB. No more than this is read of a file that was named by mistake
# (a checkpoint has gigabytes); what is cut off here is no complete JSON.
_MAX_BYTES = 10_000_000
_CHECKSUM = "sha256"


class JSONFile(Checked):
    """Base of data classes that can be saved as JSON and are checked when they are read.

    A subclass sets ``what`` and ``error``, see :class:`~ean_transfer.io.checked.Checked`.
    """

    def to_json(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=2) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file atomically (a reader never sees half of it); returns its path."""
        file = Path(path)
        text = self.to_json()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text)
        return file

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "the text") -> Self:
        """Parse the text of a file; ``source`` names it in errors.

        Raises:
            ConfigError: The text is no JSON, or a field is missing, unknown or of a wrong value.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise cls.error(f"{source}: no {cls.what}: {first_problem(error)}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read it from a file.

        Raises:
            ConfigError: There is no such file or it holds something else.
        """
        try:
            with Path(path).open("rb") as stream:
                text = stream.read(_MAX_BYTES)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            reason = f"no such {cls.what} file" if missing else f"cannot be read ({error.strerror})"
            raise cls.error(f"{path}: {reason}") from None
        encoding = json.detect_encoding(text)
        if encoding != "utf-8":  # written by a shell or editor of Windows
            text = text.decode(encoding, errors="replace").encode()
        return cls.from_json(text, str(path))


@contextmanager
def remedy(advice: str) -> Iterator[None]:
    """Add what to do to the errors of reading a file that a program of ours wrote."""
    try:
        yield
    except EANError as error:
        raise type(error)(f"{error}; {advice}") from None


def with_checksum(data: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data and its checksum, by which :func:`read_record` sees that they were changed."""
    text = json.dumps(data, sort_keys=True)
    return {**data, _CHECKSUM: hashlib.sha256(text.encode()).hexdigest()}


def read_record(
    file: Path,
    what: str,
    advice: str,
    keys: Sequence[str] = (),
    error: type[EANError] = ConfigError,
) -> dict[str, Any]:
    """Read a JSON object that a program of ours wrote for itself, without its checksum.

    Args:
        file: The file.
        what: Name of the record in messages.
        advice: What the user can do if it is torn, and what is kept and lost by that.
        keys: Keys that it must have.
        error: Type of the error that is raised.

    Raises:
        EANError: The file is no JSON object, lacks a key, or does not have the checksum it names.
    """
    try:
        data = json.loads(file.read_bytes())
        problem = None if isinstance(data, dict) else f"found a {type(data).__name__}"
    except (ValueError, RecursionError) as reason:
        problem = f"it is torn ({reason})" if file.stat().st_size else "it is empty"
    if problem is None:
        checksum = data.pop(_CHECKSUM, None)
        if checksum is not None and checksum != with_checksum(data)[_CHECKSUM]:
            problem = "it was changed after it was written (its checksum is another)"
        elif missing := [key for key in keys if key not in data]:
            problem = f"it lacks {', '.join(missing)}"
    if problem is not None:
        raise error(f"{file}: expected {what}, but {problem}: {advice}")
    return data
