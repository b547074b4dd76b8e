"""From a config to a runner: its work dir, its launcher, and the hooks that every run has."""

from __future__ import annotations

import atexit
import copy
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop
from torch import nn
from torch.utils.data import DataLoader

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
import ean_transfer.engine.hooks
import ean_transfer.engine.optim  # noqa: F401 - registers what configs name
from ean_transfer.engine.checkpoints import (
    LAST,
    checkpoints_in,
    find_checkpoint,
    go_on_from,
    seed_of,
)
from ean_transfer.engine.config import model_class
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.engine.draws import seeded_loader
from ean_transfer.engine.hooks.checkpoints import KeptCheckpointHook
from ean_transfer.engine.hooks.stop import StopHook
from ean_transfer.engine.loops import ResumableEpochLoop
from ean_transfer.errors import ConfigError, DataError, TrainingError
from ean_transfer.io.checkpoint import forbid_unsafe_loading
from ean_transfer.io.files import refuse_to_replace, replacing
from ean_transfer.io.notices import notice, set_terminal
from ean_transfer.registry import type_name

# A variable that each launcher sets in the processes it starts.
_STARTED_BY = {"pytorch": "RANK", "slurm": "SLURM_PROCID", "mpi": "OMPI_COMM_WORLD_LOCAL_RANK"}

# Named as text, not as classes: a config that holds classes cannot be read after it was dumped.
_HOOKS = {
    "ticket": "TicketHook",
    "classes": "ClassCountHook",
    "labels": "LabelSurveyHook",
    "resources": "ResourceHook",
    "progress": "ProgressBarHook",
    "draws": "DrawsHook",
    "finite": "FiniteLossHook",
    "predictions": "FinitePredictionHook",
    "overview": "OverviewHook",
    "buffers": "SameBuffersHook",
    "schedule": "ScheduleHook",
    "stop": "StopHook",
}
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

    def dump_config(self) -> None:
        """Nothing: :func:`build_runner` writes the config into the work dir."""

    def build_val_loop(self, loop: BaseLoop | dict[str, Any]) -> BaseLoop:
        with config_errors(self.cfg):
            return super().build_val_loop(loop)

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
        super().register_default_hooks(hooks)

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
                return super().train()
            except (DataError, OSError) as error:
                raise _with_place(error, self) from error
            except RuntimeError as error:
                if not self.distributed or not any(sign in str(error) for sign in _LOST):
                    raise
                raise TrainingError(
                    f"another process of the training has ended at iteration {self.iter + 1}: "
                    f"{go_on_from(self.work_dir)}, go on with --resume"
                ) from error

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


def default_work_dir(cfg: Config) -> Path:
    """``work_dirs/<the config's folder>/<its name>``: tasks have configs of the same name."""
    file = Path(cfg.filename or "run")
    return Path("work_dirs") / file.resolve().parent.name / file.stem


def _work_dir(cfg: Config, chosen: str | os.PathLike[str] | None) -> Path:
    return Path(chosen or cfg.get("work_dir") or default_work_dir(cfg))


def require_new_work_dir(cfg: Config, work_dir: str | os.PathLike[str] | None = None) -> None:
    """Refuse to start a training in a folder that holds another one's checkpoints.

    Args:
        cfg: The config.
        work_dir: Folder of the training; the default is that of :func:`build_runner`.

    Raises:
        ConfigError: The folder holds checkpoints.
    """
    folder = _work_dir(cfg, work_dir)
    refuse_to_replace(
        [folder / LAST, *checkpoints_in(folder)],
        "another --work-dir, or --resume to continue the training in this one",
    )


def build_runner(
    cfg: Config,
    work_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    seed: int | None = None,
    launcher: str = "none",
    quiet: bool = False,
    trains: bool = True,
) -> Runner:
    """Build the runner of a config, and write the config into its work dir.

    Args:
        cfg: The config; left as it is.
        work_dir: Folder for everything that is written; ``work_dirs/<config folder>/<name>`` by
            default.
        resume: Whether to continue from the work dir's last checkpoint, if there is one.
        seed: Seed of the run; by default that of the training that is continued, or the config's.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Whether only problems are shown on the terminal, see :class:`QuietRunner`.
        trains: Whether it may train; a test leaves the config of a training in its work dir.

    Raises:
        ConfigError: The config has no model, a part of it does not fit, the processes were not
            started by the launcher, or the training that is continued has another seed.
    """
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ  # others set WORLD_SIZE as well
    if launcher == "none" and by_torchrun and int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise ConfigError(
            "torchrun has started several processes, which would all do the same: add "
            "--launcher pytorch"
        )
    if (variable := _STARTED_BY.get(launcher)) and variable not in os.environ:
        raise ConfigError(
            f"--launcher {launcher} takes processes that it started (torchrun --nproc_per_node N "
            f"tools/..., srun, mpirun), which have {variable} in their environment; found none"
        )
    model_class(cfg)
    forbid_unsafe_loading()
    cfg = copy.deepcopy(cfg)
    cfg.work_dir = str(_work_dir(cfg, work_dir))
    _set_table_files(cfg)
    checkpoint, notes = find_checkpoint(cfg.work_dir) if resume else (None, [])
    recipe = {"resume": False, "load_from": cfg.get("load_from")}
    cfg.resume = checkpoint is not None
    if checkpoint is not None:
        # mmengine would follow the recorded path, which a copied folder shares.
        cfg.load_from = str(checkpoint)
        seed = _continued(seed, seed_of(checkpoint), cfg.work_dir)
    cfg.launcher = launcher
    cfg.randomness = dict(cfg.get("randomness", {})) | ({} if seed is None else {"seed": seed})
    cfg.setdefault("default_hooks", {})
    for name, hook in _HOOKS.items():
        cfg.default_hooks.setdefault(name, {})
        if cfg.default_hooks[name] is not None:  # None leaves a hook out
            cfg.default_hooks[name].setdefault("type", hook)
    # mmengine finds loggers by this name: two runs of one process must not share it.
    cfg.experiment_name = f"{Path(cfg.work_dir).name}_{time.time_ns()}"
    if launcher == "pytorch" and not torch.cuda.is_available():
        _set_cpu_processes(cfg)
    with config_errors(cfg):
        runner = (QuietRunner if quiet else TidyRunner).from_cfg(cfg)
    if trains or not (Path(cfg.work_dir) / LAST).exists():
        _write_config(cfg, recipe)
    for note in notes:
        runner.logger.warning(note)
    if resume and not cfg.resume:
        notice(runner.logger, f"{cfg.work_dir}: no checkpoint to resume, so training starts anew")
    return runner


def _continued(seed: int | None, began_with: int | None, work_dir: str) -> int | None:
    """The seed that a training continues with, which is the one it began with."""
    if None not in (seed, began_with) and seed != began_with:
        raise ConfigError(
            f"{work_dir}: the training there began with seed {began_with}, found {seed}: continue "
            "it with its own, or choose another --work-dir"
        )
    return seed if began_with is None else began_with


@master_only
def _write_config(cfg: Config, changes: dict[str, Any]) -> None:
    """Write a config into its work dir, unless that is the folder of the config itself.

    Args:
        cfg: The config as it is run.
        changes: What a run changes for itself, as the config has it.
    """
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(changes)
    name = f"{cfg.experiment_name}.py" if cfg.filename is None else Path(cfg.filename).name
    file = Path(cfg.work_dir) / name
    if cfg.filename is None or file.resolve() != Path(cfg.filename).resolve():
        cfg.dump(file)


def _set_table_files(cfg: Config) -> None:
    """Put the metrics' ``csv_file``, a relative path, into the work dir."""
    for key in ("val_evaluator", "test_evaluator"):
        evaluators = cfg.get(key) or []
        for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
            if isinstance(evaluator, dict) and evaluator.get("csv_file"):
                evaluator["csv_file"] = str(Path(cfg.work_dir) / evaluator["csv_file"])


def _set_cpu_processes(cfg: Config) -> None:
    """Prepare for several processes without CUDA, where mmengine's launcher would set a device."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    cfg.sync_bn = None  # there are no CPU kernels for it
    cfg.model_wrapper_cfg = dict(
        type="MMDistributedDataParallel",
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get("find_unused_parameters", False),
    )
