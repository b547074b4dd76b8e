"""The studies of ``docs/results/`` as comparisons of two arms over the seeds that both have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ean_transfer.engine.metrics import higher_is_better
from ean_transfer.study.claims import Better, Verdict, judge

FOLDER = Path(__file__).parents[1] / "docs" / "results"


@dataclass(frozen=True)
class Comparison:
    """One arm against another, in one task of a study.

    Attributes:
        study: Name of the study's file, without its suffix.
        task: The task's label, e.g. ``"CamVid val mIoU (%)"``.
        verdict: Paired advantages over seeds, positive where the first arm is better, and what they
            say of the claim that it is.
    """

    study: str
    task: str
    verdict: Verdict

    @property
    def seeds(self) -> int:
        """Number of seeds that both arms have."""
        return len(self.verdict.advantages)

    @property
    def cell(self) -> str:
        """``+0.52 (-0.36 to +1.40)``: mean advantage and its interval, bold where 0 is outside."""
        text, interval = with_interval(self.verdict.mean, self.verdict.t), self.verdict.t
        decides = interval is not None and not interval.low <= 0.0 <= interval.high
        return f"**{text}**" if decides else text


def with_interval(mean: float, interval: Sequence[float] | None) -> str:
    """``+0.52 (-0.36 to +1.40)``: a mean and the ends of its interval, if there is one."""
    return f"{mean:+.2f}" + (" ({:+.2f} to {:+.2f})".format(*interval) if interval else "")


@dataclass(frozen=True)
class Study:
    """The results of one study, as ``tools/study.py`` writes them.

    Attributes:
        name: Name of its file, without the suffix.
        data: The file's content.
    """

    name: str
    data: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path) -> Study:
        """Read a study's JSON."""
        return cls(file.stem, json.loads(file.read_text(encoding="utf-8")))

    @property
    def tasks(self) -> list[str]:
        """Labels of the tasks."""
        return list(self.data["metrics"])

    def attentions(self, task: str) -> list[str]:
        """Names of the attentions where several are compared; one empty name otherwise."""
        arms = [arm for arm in self.data["metrics"][task] if arm.endswith("full")]
        return [arm.removesuffix("full").rstrip() for arm in arms]

    def compare(self, task: str, first: str, second: str, attention: str = "") -> Comparison | None:
        """An arm against another, over the seeds that both have; ``None`` if an arm is absent.

        Args:
            task: The task's label.
            first: Kind of the arm, such as ``"ticket"``.
            second: Kind of the arm that it is compared with.
            attention: One of :meth:`attentions`.
        """
        arms = self.data["metrics"][task]
        first, second = (
            kind if kind == "none" else f"{attention} {kind}".lstrip() for kind in (first, second)
        )
        if not {first, second} <= arms.keys():
            return None
        sign = 1.0 if _higher_is_better(task) else -1.0
        advantages = {
            seed: sign * (one - other)
            for seed, one, other in zip(self.data["seeds"], arms[first], arms[second], strict=False)
        }
        claim = Better(better=first, than=second)
        return Comparison(self.name, task, judge(claim, task, advantages))


def _higher_is_better(label: str) -> bool:
    """The direction of the metric in a task's label."""
    directions = map(higher_is_better, label.split())
    return next(direction for direction in directions if direction is not None)


def studies(folder: Path = FOLDER) -> dict[str, Study]:
    """All studies of a folder, by name."""
    read = (Study.read(file) for file in sorted(folder.glob("*.json")))
    return {
        one.name: one for one in read if isinstance(one.data, Mapping) and "metrics" in one.data
    }
