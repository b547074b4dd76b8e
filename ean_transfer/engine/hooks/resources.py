"""What a training takes: seconds and memory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.io.notices import notice

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SECONDS, _MEMORY = "train_seconds", "train_peak_memory"  # in checkpoints, so that resuming adds up


@dataclass(frozen=True)
class TrainingCost:
    """What a training took.

    Attributes:
        seconds: Time of its iterations, with data loading and with what hooks do in between (such
            as saving), but without validation; ``None`` before the first one.
        peak_memory: Bytes that PyTorch allocated on a CUDA device, or the resident memory of the
            whole process on a CPU, which depends by some percent on what ran in it before;
            ``None`` where the system does not say (only Linux does).
    """

    seconds: float | None
    peak_memory: int | None

    def __str__(self) -> str:
        text = f"{(self.seconds or 0.0) / 60:.1f} min in iterations"
        if self.peak_memory is not None:
            text += f", peak memory {self.peak_memory / 1e6:,.0f} MB"
        return text


def training_cost(runner: Runner) -> TrainingCost:
    """What a runner's training took so far, with the sessions that it was resumed from."""
    totals = runner.message_hub.runtime_info
    return TrainingCost(totals.get(_SECONDS), totals.get(_MEMORY))


@HOOKS.register_module()
class ResourceHook(Hook):
    """Adds up a training's time and keeps its peak memory; logs both at the end.

    On a CPU under Linux, the process's peak is reset before the training. A study runs many
    trainings in one process, and each would otherwise show the largest of all before it.
    """

    priority = "LOW"  # after IterTimerHook has timed an iteration, before it may be saved

    def before_train(self, runner: Runner) -> None:
        if get_device() == "cuda":  # the chosen device, not what the machine has
            torch.cuda.reset_peak_memory_stats()
        else:
            _reset_peak_of_process()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        spent = runner.message_hub.get_scalar("train/time").current()
        before = training_cost(runner)
        runner.message_hub.update_info(_SECONDS, (before.seconds or 0.0) + float(spent))
        last = runner.iter + 1 == runner.max_iters
        if last or self.every_n_inner_iters(batch_idx, 50):  # reading the peak is a system call
            peaks = [peak for peak in (before.peak_memory, _peak_memory()) if peak is not None]
            if peaks:
                runner.message_hub.update_info(_MEMORY, max(peaks))

    def after_train(self, runner: Runner) -> None:
        notice(runner.logger, str(training_cost(runner)), "trained")


def _peak_memory() -> int | None:
    if get_device() == "cuda":
        return torch.cuda.max_memory_allocated()
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return kilobytes[0] * 1024 if kilobytes else None


def _reset_peak_of_process() -> None:
    with suppress(OSError):  # not Linux, or not allowed: the peak stays the whole process's
        _RESET.write_text("5", encoding="ascii")
