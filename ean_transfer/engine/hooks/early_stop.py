"""Stops a training that no longer gets better, and goes on counting where it is resumed."""

from __future__ import annotations

from math import isfinite
from typing import Any

from mmengine.hooks import EarlyStoppingHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.io.notices import notice

_STATE = "early_stopping"  # in a checkpoint's meta


@HOOKS.register_module()
class EarlyStopHook(EarlyStoppingHook):
    """mmengine's EarlyStoppingHook, whose count is kept in checkpoints; takes the same options."""

    def before_run(self, runner: Runner) -> None:
        if isinstance(runner._train_loop, BaseLoop):  # else a test, whose loop is not to be built
            super().before_run(runner)

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        if not isinstance(runner._train_loop, BaseLoop):
            return  # a validation by itself
        super().after_val_epoch(runner, metrics)
        if runner.train_loop.stop_training:  # type: ignore[attr-defined]
            value = float(metrics[self.monitor]) if self.monitor in metrics else 0.0
            count = f"{self.wait_count} validations without a better {self.monitor}"
            reason = f"{count} than {self.best_score:.4g}"
            if not isfinite(value):
                reason = f"{self.monitor} is {value}"
            notice(runner.logger, reason, "stopped")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint["meta"][_STATE] = [float(self.best_score), self.wait_count]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        if runner._resume and _STATE in checkpoint["meta"]:
            self.best_score, self.wait_count = checkpoint["meta"][_STATE]
