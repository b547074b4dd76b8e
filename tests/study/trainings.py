"""A stand-in for the trainings of a study, and small things that its tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ean_transfer.study.jobs import Job
from ean_transfer.study.plan import StudyPlan


def changed(plan: StudyPlan, **changes: Any) -> StudyPlan:
    """A plan with other values for some fields."""
    return StudyPlan(**dict(plan) | changes)


class Stopped(Exception):
    """Raised by a training that is killed."""


class Trainings:
    """Stands in for trainings: each leaves a checkpoint, and is killed then while ``kill``.

    Attributes:
        jobs: The runs that were begun.
        metrics: What the test of a run gives.
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.kill = False
        self.metrics: Callable[[Job], Mapping[str, float]] = lambda job: {
            "accuracy/top1": 50.0 + job.train_seed,
            "mIoU": 10.0 * job.train_seed,
            "MAE": 1.0,
        }

    def __call__(self, job: Job) -> dict[str, Any]:
        self.jobs.append(job)
        (job.folder / "last_checkpoint").write_text("epoch_1.pth")
        if self.kill:
            raise Stopped
        return {"metrics": self.metrics(job)}

    @property
    def done(self) -> list[str]:
        """task/arm/seed of the runs that were begun."""
        return ["/".join(job.folder.parts[-3:]) for job in self.jobs]
