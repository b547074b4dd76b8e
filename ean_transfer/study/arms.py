"""The arms that studies compare: kinds, names, and their places in tables and paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ean_transfer.search.baselines import RULES

KINDS = ("none", "full", "ticket", "random", *RULES, "asr")
"""Which blocks have attention: no block, every block, those of the ticket, for each seed those of
another ticket of as many connections, those of a rule of thumb (the last two blocks, the first
half, every other one), or every block with attention that is folded away after training."""


@dataclass(frozen=True)
class NamedAttention:
    """One of the attentions that a study compares, under the name that it has there.

    Attributes:
        name: The name, e.g. ``"SE"``.
        spec: A config's attention; beside the options it may have the backbone's ``asr``.
    """

    name: str
    spec: Mapping[str, Any] = field(hash=False)

    @property
    def config(self) -> dict[str, Any]:
        """What a backbone takes as ``attention``."""
        return {key: value for key, value in self.spec.items() if key != "asr"}

    @property
    def asr(self) -> bool | str:
        """What a backbone takes as ``asr``."""
        return self.spec.get("asr", False)


@dataclass(frozen=True)
class Arm:
    """One of the things that a study compares.

    Attributes:
        kind: Which blocks have attention: one of :data:`KINDS`, or the name of one of the plan's
            further tickets.
        attention: The attention; ``None`` for that of the tasks' own configs.
    """

    kind: str
    attention: NamedAttention | None = None

    @property
    def title(self) -> str:
        """The arm's name in tables, e.g. ``"SE full"``."""
        return self.kind if self.attention is None else f"{self.attention.name} {self.kind}"

    @property
    def folder(self) -> str:
        """The arm's name in paths, e.g. ``"SE_full"``."""
        return folder_of(self.title)


def folder_of(title: str) -> str:
    """The name in paths of the arm with a title."""
    return title.replace(" ", "_")
