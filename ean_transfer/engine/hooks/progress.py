"""Progress bars for trainings and tests."""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from rich.progress import Progress, TaskID

from ean_transfer.io.progress import progress_bar


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Shows a training's progress in iterations, with the latest loss, and a test's.

    Args:
        description: The bar's label; the work dir's name by default.
    """

    priority = "VERY_LOW"

    def __init__(self, description: str | None = None) -> None:
        self.description = description
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def before_train(self, runner: Runner) -> None:
        label = self.description or Path(runner.work_dir).name
        self._start(label, total=runner.max_iters, completed=runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        loss = (outputs or {}).get("loss")
        note = "" if loss is None else f"loss {loss.item():.3f}"
        if self._bar is not None:
            self._bar.update(self._task, completed=runner.iter + 1, note=note)

    def after_train(self, runner: Runner) -> None:
        self._stop()

    def before_test(self, runner: Runner) -> None:
        self._start("test", total=len(runner.test_dataloader))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=batch_idx + 1)

    def after_test(self, runner: Runner) -> None:
        self._stop()

    def _start(self, label: str, total: int, completed: int = 0) -> None:
        self._bar = progress_bar()
        self._task = self._bar.add_task(label, total=total, completed=completed, note="")
        self._bar.start()
        atexit.register(self._stop)  # an error must not leave the terminal without its cursor

    def _stop(self) -> None:
        atexit.unregister(self._stop)
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
