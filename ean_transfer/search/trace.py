"""The file of all scored masks: one JSON line per mask that a search asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ean_transfer.io.files import write_atomically
from ean_transfer.ticket.mask import Mask, mask_of


@dataclass(frozen=True)
class TraceLine:
    """One mask that was asked for, and how it did."""

    step: int
    mask: str  # bits of all stages, joined
    values: dict[str, float]  # the metric by its name, and the loss
    sparsity: float
    reward: float
    cached: bool  # scored before, not in this step
    policy: list[float] | None  # probability of each block before the step
    cost: float | None = None  # in the unit of the search's cost

    @property
    def bits(self) -> Mask:
        """The mask as truth values."""
        return mask_of(self.mask)

    def to_dict(self) -> dict[str, Any]:
        """The keys of a line in the file, where each value has a key of its own."""
        data = asdict(self)
        return {
            key: value
            for name, content in data.items()
            for key, value in (content if name == "values" else {name: content}).items()
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TraceLine:
        """The line that :meth:`to_dict` gave the keys of."""
        return cls(
            values={name: value for name, value in data.items() if name not in KEYS},
            **{name: value for name, value in data.items() if name in KEYS},
        )


KEYS = tuple(field.name for field in fields(TraceLine))
"""Keys of a line that no metric can have as its name."""


def append_trace(file: Path, lines: Sequence[TraceLine]) -> None:
    """Add lines at the end of the trace."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(trace_text(lines))
        stream.flush()
        os.fsync(stream.fileno())


def read_trace(file: Path) -> list[TraceLine]:
    """Read the lines of a trace up to the first that a kill cut short."""
    if not file.exists():
        return []
    lines = []
    for text in file.read_bytes().splitlines():
        try:
            lines.append(TraceLine.from_dict(json.loads(text)))
        except (ValueError, TypeError, AttributeError, RecursionError):
            break
    return lines


def write_trace(file: Path, lines: Sequence[TraceLine]) -> None:
    """Replace the trace."""
    write_atomically(file, trace_text(lines))


def trace_text(lines: Sequence[TraceLine]) -> str:
    """The text of lines in a trace."""
    return "".join(json.dumps(line.to_dict()) + "\n" for line in lines)
