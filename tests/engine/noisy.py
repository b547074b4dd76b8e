"""Parts of a training that draw random numbers, and signals sent in the middle of it."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, TRANSFORMS
from mmengine.runner import Runner


@TRANSFORMS.register_module()
class Noise:
    """Draws from all three generators, as augmentations do."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        noise = random.random() + np.random.rand() + float(torch.rand(()))
        results["img"] = results["img"] * (1.0 + 0.2 * noise)
        return results


@HOOKS.register_module()
class NoisyInputs(Hook):
    """Draws in the training process, as dropout does."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        for image in data_batch["inputs"]:
            image *= 1.0 + 0.2 * float(torch.rand(())) * np.random.rand() * random.random()


@HOOKS.register_module()
class SignalAt(Hook):
    """Sends this process a signal in an iteration, or in the validation after it."""

    priority = "LOW"

    def __init__(
        self, at: int, number: int = signal.SIGTERM, validating: bool = False, rank: int = 0
    ) -> None:
        self.at, self.number, self.validating, self.rank = at, number, validating, rank

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        if runner.iter + 1 == self.at and not self.validating and runner.rank == self.rank:
            os.kill(os.getpid(), self.number)

    def after_val_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        if runner.iter == self.at and self.validating:
            os.kill(os.getpid(), self.number)
