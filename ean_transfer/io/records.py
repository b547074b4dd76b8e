"""Data classes that are kept as JSON files: cost tables, Pareto fronts, tickets."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError
from typing_extensions import Self

from ean_transfer.io.checked import Checked, first_problem
from ean_transfer.io.files import write_atomically

# The largest such file has some kB. No more than this is read of a file that was named by mistake
# (a checkpoint has gigabytes); what is cut off here is no complete JSON.
_MAX_BYTES = 10_000_000


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
        return cls.from_json(text, str(path))
