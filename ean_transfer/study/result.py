"""The results of a study, as tables and as data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ean_transfer.io.records import with_checksum
from ean_transfer.io.tables import mean_and_spread
from ean_transfer.study.arms import Arm
from ean_transfer.study.claims import AsGoodAs, Better, Verdict, judge
from ean_transfer.study.plan import StudyPlan
from ean_transfer.ticket import Ticket

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Run:
    """One trained and tested network.

    Attributes:
        seed: The study's seed that the run belongs to.
        ticket: The network's mask.
        metrics: Every number of the test.
        train_seconds: Seconds of training, see
            :class:`~ean_transfer.engine.hooks.resources.TrainingCost`; ``None`` if unknown.
        peak_memory: Peak memory in bytes, see there; ``None`` if unknown.
    """

    seed: int
    ticket: str
    metrics: Mapping[str, float]
    train_seconds: float | None = None
    peak_memory: int | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """Everything that was measured, by the heading of its row."""
        numbers = dict(self.metrics)
        if self.train_seconds is not None:
            numbers["training (min)"] = self.train_seconds / 60
        if self.peak_memory is not None:
            numbers["peak memory (MB)"] = self.peak_memory / 1e6
        return numbers


@dataclass(frozen=True)
class StudyResult:
    """The results of a study.

    Attributes:
        plan: What was compared.
        ticket: The ticket of the arm ``ticket``.
        runs: task -> arm -> runs, in the order of the plan's seeds.
        attention_parameters: arm -> parameters in attention modules; of random tickets the mean.
        increments: arm -> relative time increment over none: median and quartiles; of random
            tickets the first seed's.
        compiled_increments: The same after ``torch.compile``; empty if it was not asked for.
        fixed: What does not vary with the seed, see :mod:`~ean_transfer.study.chance`.
        stated: When the claims were stated, see :mod:`~ean_transfer.study.stated`.
        doubt: Whether the search may have seen test images, as a sentence; empty if it has not.
        made_with: Versions and the machine, by their names.
    """

    plan: StudyPlan
    ticket: Ticket
    runs: Mapping[str, Mapping[Arm, list[Run]]]
    attention_parameters: Mapping[Arm, float]
    increments: Mapping[Arm, dict[str, float]] = field(default_factory=dict)
    compiled_increments: Mapping[Arm, dict[str, float]] = field(default_factory=dict)
    fixed: Sequence[str] = ()
    stated: Sequence[str] = ()
    doubt: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the runs say of each claim of the plan, in its order."""
        return tuple(
            judge(claim, self.plan.quality(claim), self._advantages(claim))
            for claim in self.plan.claims
        )

    def _advantages(self, claim: Better | AsGoodAs) -> dict[int, float]:
        """Seed -> by how much the claim's first arm is better than its second."""
        task, metric, higher_is_better = self.plan.subject(claim)
        first, second = (
            {run.seed: run.metrics[metric] for run in runs}
            for title in claim.arms
            for arm, runs in self.runs[task].items()
            if arm.title == title
        )
        sign = 1.0 if higher_is_better else -1.0
        return {seed: sign * (first[seed] - second[seed]) for seed in first}

    @property
    def metrics(self) -> dict[str, dict[Arm, list[float]]]:
        """task -> arm -> the task's metric, one value per run."""
        return {
            name: {
                arm: [run.metrics[self.plan.tasks[name].metric] for run in runs]
                for arm, runs in arms.items()
            }
            for name, arms in self.runs.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        labels = {name: task.label for name, task in self.plan.tasks.items()}
        runs = {
            labels[task]: {arm.title: [asdict(run) for run in runs] for arm, runs in arms.items()}
            for task, arms in self.runs.items()
        }
        return {
            "ticket": str(self.ticket),
            "ticket_id": self.ticket.id,
            "seeds": list(self.plan.seeds),
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "stated": list(self.stated),
            "fixed": list(self.fixed),
            "doubt": self.doubt,
            "metrics": {labels[task]: _titled(arms) for task, arms in self.metrics.items()},
            "attention_parameters": _titled(self.attention_parameters),
            "time_increment_over_none": _titled(self.increments),
            "compiled_time_increment_over_none": _titled(self.compiled_increments),
            "made_with": dict(self.made_with),
            "runs": runs,
        }

    def rows(self) -> list[list[str]]:
        """The table of arms, headings first."""
        labels = [task.label for task in self.plan.tasks.values()]
        times = {"time over none": self.increments}
        if self.compiled_increments:
            times["compiled, over none"] = self.compiled_increments
        rows = [["arm", *labels, "attention parameters", *times]]
        for arm in self.plan.compared:
            metrics = [mean_and_spread(self.metrics[task][arm]) for task in self.plan.tasks]
            parameters = f"{self.attention_parameters[arm]:,.0f}"
            increments = [_percent(of_arms.get(arm)) for of_arms in times.values()]
            rows.append([self._heading(arm), *metrics, parameters, *increments])
        return rows

    def task_rows(self, task: str) -> list[list[str]]:
        """Everything measured on one task, one row per number and one column per arm."""
        arms = self.runs[task]
        numbers = [[run.numbers for run in runs] for runs in arms.values()]
        names = dict.fromkeys(n for runs in arms.values() for run in runs for n in run.metrics)
        rows = [["", *map(self._heading, arms)]]
        for name in (*names, "training (min)", "peak memory (MB)"):
            columns = [[of_run.get(name) for of_run in of_arm] for of_arm in numbers]
            if any(value is not None for column in columns for value in column):
                rows.append([name, *map(mean_and_spread, columns)])
        return rows

    def _heading(self, arm: Arm) -> str:
        """The arm's title, and its mask where it is the same for every seed."""
        if arm.kind in ("none", "full", "asr") or not self.runs:
            return arm.title
        masks = {run.ticket for run in next(iter(self.runs.values()))[arm]}
        return f"{arm.title} ({masks.pop()})" if len(masks) == 1 else arm.title


def _titled(values: Mapping[Arm, _Value]) -> dict[str, _Value]:
    return {arm.title: value for arm, value in values.items()}


def _percent(increment: Mapping[str, float] | None) -> str:
    return "-" if increment is None else f"{100 * increment['median']:+.1f} %"


def json_text(data: Any, checksum: bool = False) -> str:
    """Plain data as JSON; NaN and infinities, which JSON lacks, become text that float() reads.

    Args:
        data: The data.
        checksum: Whether to add the checksum that :func:`~ean_transfer.io.records.read_record`
            compares.
    """
    plain = _finite(data)
    return json.dumps(with_checksum(plain) if checksum else plain, indent=2, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data
