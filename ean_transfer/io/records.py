"""Data classes that are kept as files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ean_transfer.errors import ConfigError
from ean_transfer.io.files import write_atomically

T = TypeVar("T", bound="JSONFile")


class JSONFile(BaseModel):
    """What can be saved as JSON, and is checked when it is read.

    Attributes:
        what: What it is called in messages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    what: ClassVar[str]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it atomically; returns the path."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, self.model_dump_json(indent=2) + "\n")
        return file

    @classmethod
    def load(cls: type[T], path: str | os.PathLike[str]) -> T:
        """Read it from a file.

        Raises:
            ConfigError: If there is no such file or it holds something else.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such {cls.what}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise ConfigError(f"{path}: no {cls.what}: {where}: {first['msg']}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as a {cls.what} ({error})") from None
