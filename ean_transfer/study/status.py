"""How far a study is: which of its runs are done, failed, begun or to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ean_transfer.study.apart import FAILURE
from ean_transfer.study.identity import RESULTS, read_results
from ean_transfer.study.jobs import planned_runs, run_folder
from ean_transfer.study.plan import StudyPlan


@dataclass(frozen=True)
class RunStatus:
    """State of one run.

    Attributes:
        task: Name of the task.
        label: Task, arm and seed.
        state: ``"done"``, ``"failed"``, ``"begun"`` or ``"to do"``.
        seconds: What its training took, if it is done.
        expected: What it will take, by the runs of its task that are done; ``None`` without one.
        failure: Why it failed, in one line.
    """

    task: str
    label: str
    state: str
    seconds: float | None = None
    expected: float | None = None
    failure: str = ""

    @property
    def cells(self) -> Sequence[str]:
        """A row of a table."""
        seconds = f"{self.seconds:.0f} s" if self.seconds is not None else ""
        if self.seconds is None and self.expected is not None:
            seconds = f"about {self.expected:.0f} s"
        return self.label, self.state, seconds, self.failure


def status(plan: StudyPlan, work_dir: Path) -> list[RunStatus]:
    """The state of each run of a study in its work dir, in the order in which they are done.

    Raises:
        ConfigError: What a finished run wrote is torn.
    """
    states = []
    for task, arm, seed in planned_runs(plan):
        folder = run_folder(work_dir, task, arm, seed)
        one = RunStatus(task, f"{task}, {arm.title}, seed {seed}", "to do")
        if (folder / RESULTS).exists():
            seconds = read_results(folder).get("train_seconds")
            one = replace(one, state="done", seconds=seconds)
        elif (folder / FAILURE).exists():
            failure = (folder / FAILURE).read_text().splitlines()[0]
            one = replace(one, state="failed", failure=failure)
        elif folder.is_dir():
            one = replace(one, state="begun")
        states.append(one)
    return [replace(one, expected=_mean(states, one.task)) for one in states]


def _mean(states: Sequence[RunStatus], task: str) -> float | None:
    known = [one.seconds for one in states if one.task == task and one.seconds is not None]
    return fmean(known) if known else None
