"""What a study found, as tables and as data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ean_transfer.study.plan import RANDOM, StudyPlan, arm_of
from ean_transfer.ticket import Ticket


@dataclass(frozen=True)
class Run:
    """One trained and tested network.

    Attributes:
        seed: It belongs to.
        ticket: Its mask.
        metrics: Every number of the test.
        train_seconds: As in :class:`~ean_transfer.engine.hooks.resources.TrainingCost`; ``None`` if unknown.
        peak_memory: In bytes, likewise.
    """

    seed: int
    ticket: str
    metrics: Mapping[str, float]
    train_seconds: float | None = None
    peak_memory: int | None = None


@dataclass(frozen=True)
class StudyResult:
    """What a study found.

    Attributes:
        plan: What was compared.
        ticket: The arm ``ticket``'s.
        runs: task -> arm -> its runs, in the order of the plan's seeds.
        attention_parameters: arm -> parameters in attention modules; of random tickets the mean.
        increments: arm -> relative time increment over none: median and quartiles; of random
            tickets the first seed's.
    """

    plan: StudyPlan
    ticket: Ticket
    runs: Mapping[str, Mapping[str, list[Run]]]
    attention_parameters: Mapping[str, float]
    increments: Mapping[str, dict[str, float]] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, dict[str, list[float]]]:
        """task -> arm -> the task's metric, a value a run."""
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
        return {
            "ticket": str(self.ticket),
            "ticket_id": self.ticket.id,
            "seeds": list(self.plan.seeds),
            "metrics": {labels[task]: dict(arms) for task, arms in self.metrics.items()},
            "attention_parameters": dict(self.attention_parameters),
            "time_increment_over_none": dict(self.increments),
            "runs": {
                labels[task]: {arm: [asdict(run) for run in runs] for arm, runs in arms.items()}
                for task, arms in self.runs.items()
            },
        }

    def rows(self) -> list[list[str]]:
        """The table of arms, headings first."""
        labels = [task.label for task in self.plan.tasks.values()]
        rows = [["arm", *labels, "attention parameters", "time over none"]]
        for arm in self.plan.networks:
            found = [mean_and_spread(self.metrics[task][arm]) for task in self.plan.tasks]
            increment = self.increments.get(arm)
            time = "-" if increment is None else f"{100 * increment['median']:+.1f} %"
            rows.append([self._title(arm), *found, f"{self.attention_parameters[arm]:,.0f}", time])
        return rows

    def task_rows(self, task: str) -> list[list[str]]:
        """Everything measured on one task, a row each, a column an arm, headings first."""
        arms = self.runs[task]
        every = [run for runs in arms.values() for run in runs]
        numbers = {
            name: {arm: [run.metrics.get(name) for run in runs] for arm, runs in arms.items()}
            for name in dict.fromkeys(name for run in every for name in run.metrics)
        }
        numbers["training (min)"] = {
            arm: [_scaled(run.train_seconds, 1 / 60) for run in runs] for arm, runs in arms.items()
        }
        numbers["peak memory (MB)"] = {
            arm: [_scaled(run.peak_memory, 1e-6) for run in runs] for arm, runs in arms.items()
        }
        rows = [["", *map(self._title, arms)]]
        for name, values in numbers.items():
            if any(value is not None for found in values.values() for value in found):
                rows.append([name, *(mean_and_spread(found) for found in values.values())])
        return rows

    def _title(self, arm: str) -> str:
        if arm_of(arm) not in ("ticket", RANDOM) or not self.runs:
            return arm
        runs = next(iter(self.runs.values()))[arm]
        return f"{arm} ({', '.join(dict.fromkeys(run.ticket for run in runs))})"


def json_text(data: Any) -> str:
    """Plain data as JSON; nan and infinities, which JSON lacks, as the text that float() reads."""
    return json.dumps(_finite(data), indent=2, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


def mean_and_spread(values: Sequence[float | None]) -> str:
    """``mean ± standard deviation`` of what is known; a dash if nothing is."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    text = f"{np.mean(known):.2f}"  # a metric may be nan, which statistics.stdev does not take
    return text if len(known) == 1 else f"{text} ± {np.std(known, ddof=1):.2f}"


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
