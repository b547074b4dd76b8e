"""The file of all scored masks: one JSON line per mask that a search asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ean_transfer.io.files import write_atomically
from ean_transfer.ticket.mask import Mask, mask_of


@dataclass(frozen=True)
class TraceLine:
    """One mask that was asked for, and how it did."""

    step: int
    mask: str  # bits of all stages, joined
    accuracy: float  # percent
    loss: float
    sparsity: float
    reward: float
    cached: bool  # scored before, not in this step
    policy: list[float] | None  # probability of each block before the step
    cost: float | None = None  # in the unit of the search's cost

    @property
    def bits(self) -> Mask:
        """The mask as truth values."""
        return mask_of(self.mask)


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
            lines.append(TraceLine(**json.loads(text)))
        except (ValueError, TypeError, RecursionError):
            break
    return lines


def write_trace(file: Path, lines: Sequence[TraceLine]) -> None:
    """Replace the trace."""
    write_atomically(file, trace_text(lines))


def trace_text(lines: Sequence[TraceLine]) -> str:
    """The text of lines in a trace."""
    return "".join(json.dumps(asdict(line)) + "\n" for line in lines)
