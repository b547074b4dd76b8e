"""How far a study is: its searches and runs that are done, failed, begun or to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from ean_transfer.engine.config import load_config
from ean_transfer.engine.timing import time_iterations
from ean_transfer.study.apart import FAILURE
from ean_transfer.study.arms import Arm
from ean_transfer.study.identity import RESULTS, read_results
from ean_transfer.study.jobs import planned_runs, run_folder
from ean_transfer.study.networks import set_arm
from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.searches import make_searches


@dataclass(frozen=True)
class RunStatus:
    """State of one run, or of one search.

    Attributes:
        part: Name of the run's task; ``"search"`` and the search's arm.
        label: Task, arm and seed; ``"search"`` and the search's config.
        state: ``"done"``, ``"failed"``, ``"begun"`` or ``"to do"``.
        seconds: What its training took, if it is done.
        expected: What its training will take, by the runs of its task that are done or by timed
            iterations; ``None`` if unknown.
        failure: Why it failed, in one line.
    """

    part: str
    label: str
    state: str
    seconds: float | None = None
    expected: float | None = None
    failure: str = ""

    @property
    def cells(self) -> Sequence[str]:
        """A row of a table."""
        seconds = f"{self.seconds:.0f} s" if self.seconds is not None else ""
        if self.state != "done" and self.expected is not None:
            seconds = f"about {self.expected:.0f} s"
        return self.label, self.state, seconds, self.failure


def status(
    plan: StudyPlan, work_dir: Path, timed: Mapping[str, float] | None = None
) -> list[RunStatus]:
    """The state of each search and run of a study, in the order in which they are done.

    Args:
        plan: The study.
        work_dir: Its folder.
        timed: Part -> seconds that its training takes, see :func:`time_parts`, for those of which
            no run is done.

    Raises:
        ConfigError: What a finished run wrote is torn, or a search's config is not valid.
    """
    states = []
    for search in make_searches(plan, work_dir):
        state, failure = _state(search.folder, search.done)
        states.append(RunStatus(_search_part(search.name), search.label, state, failure=failure))
    for task, arm, seed in planned_runs(plan):
        folder, label = run_folder(work_dir, task, arm, seed), f"{task}, {arm.title}, seed {seed}"
        done = (folder / RESULTS).exists()
        state, failure = _state(folder, done)
        seconds = read_results(folder).get("train_seconds") if done else None
        states.append(RunStatus(task, label, state, seconds, failure=failure))
    return [replace(one, expected=_expected(states, one.part, timed or {})) for one in states]


def _state(folder: Path, done: bool) -> tuple[str, str]:
    """State of the search or run in a folder, and why it failed."""
    if done:
        return "done", ""
    if (folder / FAILURE).exists():
        return "failed", (folder / FAILURE).read_text(encoding="utf-8").splitlines()[0]
    return "begun" if folder.is_dir() else "to do", ""


def _search_part(name: str) -> str:
    return f"search, {name}"


def _expected(states: Sequence[RunStatus], part: str, timed: Mapping[str, float]) -> float | None:
    known = [one.seconds for one in states if one.part == part and one.seconds is not None]
    return fmean(known) if known else timed.get(part)


def time_parts(plan: StudyPlan) -> dict[str, float]:
    """Time a few iterations of each task with attention in every block, and of each supernet.

    Returns:
        Task, or search -> seconds that the whole training takes here, without tests and without
        the scoring of masks.

    Raises:
        ConfigError, DataError: A training cannot start.
    """
    full = next((arm for arm in plan.compared if arm.kind != "none"), Arm("full"))
    seconds = {}
    for name, config in plan.search_configs.items():
        cfg = load_config(config)
        supernets = cfg.pop("search").get("supernets", 1)
        seconds[_search_part(name)] = supernets * time_iterations(cfg).whole
    for task, cfg in plan.load_configs().items():
        set_arm(cfg, Arm("full", full.attention), "full")
        seconds[task] = time_iterations(cfg).whole
    return seconds
