"""Random draws of a network that do not depend on where a training was stopped and resumed."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.engine.draws import seed_epoch, seed_iteration


@HOOKS.register_module()
class DrawsHook(Hook):
    """Seeds the generators of the training process for every iteration, see :mod:`..draws`."""

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Runner) -> None:
        seed_epoch(runner.seed, runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        seed_iteration(runner.seed, runner.iter)
