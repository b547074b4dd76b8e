"""What a search keeps in its work dir while it runs, and how a stopped one resumes from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process

from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.files import refuse_to_replace
from ean_transfer.search.cost.kept import cost_file
from ean_transfer.search.cost.table import COSTS
from ean_transfer.search.state import START_ANEW, load_state, save_state
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.search.trace import TraceLine, append_trace, read_trace, trace_text, write_trace

_STATE, _TRACE = "search_state.json", "trace.jsonl"
_RESULTS = ("ticket.json", "pareto.json", "verdict.json", "search.png")
_SEARCH = (_TRACE, _STATE, *_RESULTS)  # what a new search replaces

ANOTHER_FILE = "or give state another name"
"""The remedy where all is kept in one file, the ``state`` of ``find_ticket``."""


class SavedSearch:
    """The trace and the state of one search, in its work dir.

    Args:
        work_dir: Work dir of the search.
        settings: Settings that must be equal for a stopped search to resume.
        within: The one file that the folder's files are put into and taken from, if they are.
    """

    def __init__(
        self, work_dir: Path, settings: Mapping[str, Any], within: Path | None = None
    ) -> None:
        self.within = within
        self.trace_file = work_dir / _TRACE
        self.state_file = work_dir / _STATE
        # As JSON gives them back, so that they can be compared with those in a file.
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._lines, self._digest = 0, hashlib.sha256()

    def save(self, steps_done: int, strategy: Strategy, lines: Sequence[TraceLine]) -> None:
        """Append a step's lines to the trace, then replace the state.

        The state has the number and the hash of the trace's lines. A kill between the two leaves
        lines of a step that is not in the state: :meth:`restore` drops them, and the step is done
        again.
        """
        append_trace(self.trace_file, lines)
        self._count(lines)
        state = {
            "step": steps_done,
            "settings": self.settings,
            "strategy": strategy.state_dict(),
            "trace_lines": self._lines,
            "trace_sha256": self._digest.hexdigest(),
        }
        save_state(self.state_file, state)

    def restore(self, strategy: Strategy) -> tuple[int, list[TraceLine]] | None:
        """Give the strategy its saved state. Every process has to call it.

        Returns:
            The number of steps done and their trace; ``None`` if there is no search to resume.

        Raises:
            CheckpointError: The state or the trace was torn or changed.
            ConfigError: The search was started with other settings.
        """
        saved: list[Any] = [None]
        if is_main_process() and self.state_file.exists():
            state = load_state(self.state_file)
            saved = [(state, self._trace_of(state))]
        broadcast_object_list(saved)
        if saved[0] is None:
            return None
        state, trace = saved[0]
        if self.within is None:
            remedy = f"choose another --work-dir, or {START_ANEW}"
            require_same_settings(state["settings"], self.settings, self.state_file, remedy)
        else:
            require_same_settings(state["settings"], self.settings, self.within, ANOTHER_FILE)
        strategy.load_state_dict(state["strategy"])
        self._count(trace)
        if is_main_process():
            write_trace(self.trace_file, trace)
        return state["step"], trace

    def _count(self, lines: Sequence[TraceLine]) -> None:
        self._lines += len(lines)
        self._digest.update(trace_text(lines).encode())

    def _trace_of(self, state: Mapping[str, Any]) -> list[TraceLine]:
        """The lines of the trace that belong to a state."""
        lines = read_trace(self.trace_file)
        number, trace = len(lines), lines[: state["trace_lines"]]
        if hashlib.sha256(trace_text(trace).encode()).hexdigest() != state["trace_sha256"]:
            actual = "others" if number >= state["trace_lines"] else f"{number} whole ones"
            raise CheckpointError(
                f"{self.trace_file}: expected the {state['trace_lines']} lines that {_STATE} was "
                f"saved with, found {actual}: put the file back if you have a copy, or {START_ANEW}"
            )
        return trace


def require_same_settings(
    before: Mapping[str, Any], settings: Mapping[str, Any], file: Path, remedy: str
) -> None:
    """Refuse to continue a search with other settings than it was started with.

    Args:
        before: The settings that it was started with. One that was started before a setting was
            kept says nothing of it.
        settings: The settings of now.
        file: File that the former ones are from, for the message.
        remedy: What to do to change a setting.

    Raises:
        ConfigError: A setting is another one.
    """
    for name, now in settings.items():
        if (was := before.get(name, now)) != now:
            raise ConfigError(
                f"{file}: the search was started with {name}={was}, it cannot continue with {now}: "
                f"keep the setting, {remedy}"
            )


def require_new_search(work_dir: Path, trains: bool) -> None:
    """Refuse to start a search in a folder that holds another one.

    Args:
        work_dir: The folder.
        trains: Whether the search trains supernets, which would replace those in the folder.

    Raises:
        ConfigError: The folder holds one.
    """
    names = [*_SEARCH, "supernet*/last_checkpoint"] if trains else _SEARCH
    refuse_to_replace(
        [file for name in names for file in sorted(work_dir.glob(name))],
        "another --work-dir, or --resume to continue the search in this one",
    )


def forget_search(work_dir: Path, keep: str | os.PathLike[str] | None = None) -> None:
    """Remove an earlier search from a work dir: what it would resume from, and its results.

    Args:
        work_dir: Work dir of the search.
        keep: Cost table of the user's, which is left even if it lies in the work dir.
    """
    costs = [cost_file(work_dir, cost) for cost in COSTS]
    for file in (*costs, *(work_dir / name for name in _SEARCH)):
        if keep is None or file.resolve() != Path(keep).resolve():
            file.unlink(missing_ok=True)
