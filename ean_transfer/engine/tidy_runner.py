"""mmengine's runner, with one-line errors, checkpoints in one step, and a quiet terminal."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop
from torch import nn
from torch.utils.data import DataLoader

from ean_transfer.attachment.attached import follow_layers
from ean_transfer.attachment.network import unwrapped
from ean_transfer.engine.checkpoints import go_on_from
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.engine.draws import seeded_loader
from ean_transfer.engine.hooks.checkpoints import KeptCheckpointHook
from ean_transfer.engine.hooks.stop import StopHook
from ean_transfer.engine.loops import ResumableEpochLoop
from ean_transfer.errors import DataError, TrainingError
from ean_transfer.io.files import replacing
from ean_transfer.io.notices import set_terminal
from ean_transfer.registry import type_name

# How torch says that a process on the other side has ended.
_LOST = ("peer", "Gloo", "gloo", "NCCL", "Broken pipe", "store")


class TidyRunner(Runner):
    """mmengine's runner, with errors about the config in one line, and trainings that lose nothing.

    Where the model cannot be built, it leaves no files behind. Checkpoints are written in one step,
    and a training that was stopped at any iteration continues as if it had not been. The terminal
    shows problems and notices, see :mod:`ean_transfer.io.notices`, and the log file everything.
    """

    quiet = False

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        set_terminal(logger, self.quiet)
        return logger

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        with redirect_stdout(StringIO()):  # mmengine prints the file's name, and logs it as well
            return super().load_checkpoint(*args, **kwargs)

    def build_model(self, model: nn.Module | dict[str, Any]) -> nn.Module:
        try:
            return super().build_model(model)
        except Exception:
            # mmengine has already written its log, as if a training had begun.
            shutil.rmtree(self._log_dir, ignore_errors=True)
            with suppress(OSError):  # what earlier runs wrote stays
                Path(self.work_dir).rmdir()
            raise

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        if self.distributed and not torch.cuda.is_available():
            self.cfg.sync_bn = None  # there are no CPU kernels for it
            model_wrapper_cfg = dict(
                type="MMDistributedDataParallel",
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get("find_unused_parameters", False),
            )
        converts = self.distributed and self.cfg.get("sync_bn") in ("torch", "mmcv")
        if converts and "timm" in sys.modules:
            # mmengine's conversion loses the activations that timm's BatchNorms have in them.
            from timm.layers import convert_sync_batchnorm

            model = convert_sync_batchnorm(model)
            self.cfg.sync_bn = None
        wrapped = super().wrap_model(model_wrapper_cfg, model)
        follow_layers(wrapped)  # mmengine converts BatchNorms, for several processes or for one
        return wrapped

    def dump_config(self) -> None:
        """Nothing: :func:`build_runner` writes the config into the work dir."""

    def build_val_loop(self, loop: BaseLoop | dict[str, Any]) -> BaseLoop:
        self._val_dataloader: Any = _each_image_once(self._val_dataloader)
        with config_errors(self.cfg):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop: BaseLoop | dict[str, Any]) -> BaseLoop:
        self._test_dataloader: Any = _each_image_once(self._test_dataloader)
        return super().build_test_loop(loop)

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        """Build the metrics; a ``csv_file`` of theirs, a relative path, is in the work dir."""
        built = super().build_evaluator(evaluator)
        for metric in built.metrics:
            if getattr(metric, "csv_file", None):
                metric.csv_file = Path(self.work_dir) / metric.csv_file
        return built

    def build_train_loop(self, loop: BaseLoop | dict[str, Any]) -> BaseLoop:
        loader: Any = self._train_dataloader  # type: ignore[has-type]
        self._train_dataloader = seeded_loader(loader, self.seed)
        if isinstance(loop, dict):
            loop = dict(loop)
            by_epoch = loop.pop("by_epoch", None)
            default = IterBasedTrainLoop if by_epoch is False else EpochBasedTrainLoop
            kind = loop.setdefault("type", default)
            if type_name(kind) == EpochBasedTrainLoop.__name__:
                loop["type"] = ResumableEpochLoop
        return super().build_train_loop(loop)

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        hooks = dict(hooks or {})
        saving = hooks.setdefault("checkpoint", dict(interval=1))
        if isinstance(saving, dict):
            saving = dict(saving)
            if type_name(saving.setdefault("type", CheckpointHook)) == CheckpointHook.__name__:
                hooks["checkpoint"] = saving | dict(type=KeptCheckpointHook)
        # None leaves a hook out, which mmengine takes of its own hooks only: one that does nothing.
        super().register_default_hooks({name: hook or Hook() for name, hook in hooks.items()})

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        loader = Runner.build_dataloader(*args, **kwargs)
        loader.worker_init_fn = partial(_start_worker, _LEAVING, loader.worker_init_fn)
        return loader

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        if not is_main_process():
            return
        if "://" in str(out_dir):  # on a storage that writes in one step by itself
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        Path(out_dir).mkdir(parents=True, exist_ok=True)
        with replacing(Path(out_dir) / filename) as partial_file:
            super().save_checkpoint(out_dir, partial_file.name, *args, **kwargs)

    def train(self) -> nn.Module:
        stop = next((hook for hook in self.hooks if isinstance(hook, StopHook)), None)
        # Loops, data loaders and optimisers are built only now.
        with config_errors(self.cfg), stop.listening() if stop else nullcontext():
            try:
                super().train()
            except (DataError, OSError) as error:
                raise _with_place(error, self) from error
            except RuntimeError as error:
                if not self.distributed or not any(sign in str(error) for sign in _LOST):
                    raise
                raise TrainingError(
                    f"another process of the training has ended at iteration {self.iter + 1}: "
                    f"{go_on_from(self.work_dir)}, go on with --resume"
                ) from error
        for hook in self.hooks:
            if isinstance(hook, EMAHook):
                # The averaged weights, as in the checkpoints: a test begins by averaging anew.
                unwrapped(self.model).load_state_dict(hook.ema_model.module.state_dict())
        return self.model

    def test(self) -> dict[str, float]:
        with config_errors(self.cfg):
            return super().test()


# Whether this process is at its end. Shared with its workers, which may outlive a signal no more.
_LEAVING = multiprocessing.RawValue("b", 0)


@atexit.register
def _leave() -> None:
    # Registered after multiprocessing's own, which ends workers by SIGTERM, so it runs before it.
    _LEAVING.value = 1


def _start_worker(leaving: Any, initialise: Callable[[int], None] | None, worker: int) -> None:
    """Start a worker that outlives a signal to the whole group until its training has saved."""

    def outlive(*_: Any) -> None:
        if leaving.value:
            os._exit(0)

    for name in ("SIGTERM", "SIGUSR1", "SIGINT"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), outlive)
    if initialise is not None:
        initialise(worker)


def _each_image_once(loader: Any) -> Any:
    """The config of a loader that gives no image twice, so that one process has fewer than another.

    By default mmengine's sampler repeats the first images until all have as many. Metrics leave the
    repeated ones out, but the validation's loss and pictures of the test would not.
    """
    sampler = loader.get("sampler") if isinstance(loader, dict) else None
    if not isinstance(sampler, dict) or type_name(sampler.get("type")) != DefaultSampler.__name__:
        return loader
    return {**loader, "sampler": {"round_up": False, **sampler}}


def _with_place(error: DataError | OSError, runner: Runner) -> Exception:
    """The same error, which also says how far the training had come."""
    if not isinstance(runner._train_loop, BaseLoop) or runner.iter == 0:
        return error
    place = f"at iteration {runner.iter + 1} of the training; {go_on_from(runner.work_dir)}"
    if isinstance(error, OSError):
        error.strerror = f"{error.strerror or error} ({place})"
        return error
    return type(error)(f"{error} ({place})")


class QuietRunner(TidyRunner):
    """A runner whose notices go to its file as well; only problems reach the terminal.

    For programs that run many trainings and report on them themselves.
    """

    quiet = True
