"""From a config to a runner: its work dir, its launcher, and the hooks that every run has."""

from __future__ import annotations

import copy
import logging
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner, find_latest_checkpoint
from torch import nn

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
import ean_transfer.engine.hooks
import ean_transfer.engine.optim  # noqa: F401 - registers what configs name
from ean_transfer.engine.config import model_class
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.checkpoint import forbid_unsafe_loading
from ean_transfer.io.files import refuse_to_replace

# A variable that each launcher sets in the processes it starts.
_STARTED_BY = {"pytorch": "RANK", "slurm": "SLURM_PROCID", "mpi": "OMPI_COMM_WORLD_LOCAL_RANK"}

# Named as text, not as classes: a config that holds classes cannot be read after it was dumped.
_HOOKS = {
    "ticket": "TicketHook",
    "classes": "ClassCountHook",
    "resources": "ResourceHook",
    "progress": "ProgressBarHook",
}


class TidyRunner(Runner):
    """mmengine's runner, with errors about the config in one line.

    Where the model cannot be built, it leaves no files behind.
    """

    def build_model(self, model: nn.Module | dict[str, Any]) -> nn.Module:
        try:
            return super().build_model(model)
        except Exception:
            # mmengine has already written its log and the config, as if a training had begun.
            shutil.rmtree(self._log_dir, ignore_errors=True)
            with suppress(OSError):  # what earlier runs wrote stays
                Path(self.work_dir).rmdir()
            raise

    def train(self) -> nn.Module:
        with config_errors(self.cfg):  # loops, data loaders and optimisers are built only now
            return super().train()

    def test(self) -> dict[str, float]:
        with config_errors(self.cfg):
            return super().test()


class QuietRunner(TidyRunner):
    """A runner whose log goes to its file; only errors reach the terminal.

    For programs that run many trainings and report on them themselves.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)
        return logger


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
    refuse_to_replace(
        [_work_dir(cfg, work_dir) / "last_checkpoint"],
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
) -> Runner:
    """Build the runner of a config.

    Args:
        cfg: The config; left as it is.
        work_dir: Folder for everything that is written; ``work_dirs/<config folder>/<name>`` by
            default.
        resume: Whether to continue from the work dir's last checkpoint, if there is one.
        seed: Seed of the run; the config's by default.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Whether to log to the work dir's file only, see :class:`QuietRunner`.

    Raises:
        ConfigError: The config has no model, a part of it does not fit, or the processes were not
            started by the launcher.
    """
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
    cfg.resume = resume and (Path(cfg.work_dir) / "last_checkpoint").exists()
    if cfg.resume:  # mmengine would follow the recorded path, which a copied folder shares
        cfg.load_from = last_checkpoint(cfg.work_dir)
    cfg.launcher = launcher
    cfg.randomness = dict(cfg.get("randomness", {})) | ({} if seed is None else {"seed": seed})
    cfg.setdefault("default_hooks", {})
    for name, hook in _HOOKS.items():
        cfg.default_hooks.setdefault(name, dict(type=hook))
    # mmengine finds loggers by this name: two runs of one process must not share it.
    cfg.experiment_name = f"{Path(cfg.work_dir).name}_{time.time_ns()}"
    if launcher == "pytorch" and not torch.cuda.is_available():
        _set_cpu_processes(cfg)
    with config_errors(cfg):
        return (QuietRunner if quiet else TidyRunner).from_cfg(cfg)


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


def last_checkpoint(work_dir: str | os.PathLike[str]) -> str:
    """Path of the last checkpoint that a training wrote.

    Raises:
        CheckpointError: The training wrote none.
    """
    if not (Path(work_dir) / "last_checkpoint").exists():
        raise CheckpointError(f"{work_dir}: no checkpoint, the training has not finished an epoch")
    recorded = Path(find_latest_checkpoint(str(work_dir)))
    moved = Path(work_dir) / recorded.name  # the recorded path is absolute, and folders move
    return str(moved if moved.exists() else recorded)
