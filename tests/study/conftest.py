"""Fixtures of the tests of studies: tiny configs, and a stand-in for trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ean_transfer.study.plan import Task
from tests.study.trainings import Trainings

METRICS = {
    "classification": ("accuracy/top1", "accuracy"),
    "segmentation": ("mIoU", "mIoU"),
    "crowd_counting": ("MAE", "MAE"),
}


@pytest.fixture
def write_config(toy, tmp_path: Path) -> Callable[..., str]:
    """Writes a toy config made tiny: ``write_config("segmentation/toy", **changes)`` -> its path.

    Called again, it edits the file.
    """

    def write(name: str, **changes: Any) -> str:
        file = tmp_path / f"{name.replace('/', '_')}.py"
        toy(name, **changes).dump(file)
        return str(file)

    return write


@pytest.fixture
def make_task(write_config) -> Callable[..., Task]:
    """Makes a task of a study: ``make_task("segmentation", once=True)``."""

    def make(name: str, **options: Any) -> Task:
        metric, label = METRICS[name]
        return Task(
            **dict(config=write_config(f"{name}/toy"), metric=metric, label=label) | options
        )

    return make


@pytest.fixture
def trainings() -> Trainings:
    return Trainings()
