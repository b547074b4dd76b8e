"""From a config to a runner: work dirs, launchers, hooks that every run has."""

from __future__ import annotations

import copy
import logging
import os
import re
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS
from mmengine.runner import Runner, find_latest_checkpoint

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
import ean_transfer.engine.hooks
import ean_transfer.engine.optim  # noqa: F401 - registers what configs name
from ean_transfer.engine.config import backbone_configs
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.checkpoint import forbid_unsafe_loading

_STARTED_BY = {"pytorch": "RANK", "slurm": "SLURM_PROCID", "mpi": "OMPI_COMM_WORLD_LOCAL_RANK"}


class QuietRunner(Runner):
    """A runner whose log goes to its file; only errors reach the terminal.

    For programs that run many trainings and say themselves how they went.
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)
        return logger


def default_work_dir(cfg: Config) -> Path:
    """``work_dirs/<the config's folder>/<its name>``: tasks have configs of equal names."""
    file = Path(cfg.filename or "run")
    return Path("work_dirs") / file.resolve().parent.name / file.stem


def _work_dir(cfg: Config, given: str | os.PathLike[str] | None) -> Path:
    return Path(given or cfg.get("work_dir") or default_work_dir(cfg))


def require_new_work_dir(cfg: Config, work_dir: str | os.PathLike[str] | None = None) -> None:
    """Refuse to start a training where another one's checkpoints are.

    Args:
        cfg: The config.
        work_dir: As for :func:`build_runner`.

    Raises:
        ConfigError: If there are.
    """
    folder = _work_dir(cfg, work_dir)
    if (folder / "last_checkpoint").exists():
        raise ConfigError(
            f"{folder}: holds the checkpoints of a training, which would be overwritten: go on "
            "with it by --resume, or choose another --work-dir"
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
        work_dir: Where everything is written; ``work_dirs/<config folder>/<name>`` by default.
        resume: Go on from the work dir's last checkpoint, if there is one.
        seed: Overrides the config's.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Log to the work dir's file only, see :class:`QuietRunner`.

    Raises:
        ConfigError: If a part of the model needs an operator that mmcv was not compiled with, or
            the processes were not started by the launcher.
    """
    if (variable := _STARTED_BY.get(launcher)) and variable not in os.environ:
        raise ConfigError(
            f"--launcher {launcher} takes processes that it started (torchrun --nproc_per_node N "
            f"tools/..., srun, mpirun), which have {variable} in their environment; found none"
        )
    if "model" not in cfg:
        raise ConfigError(
            f"{cfg.filename}: expected a config with a model, found none: configs/_base_/ has "
            "parts of configs, and tools/study.py runs studies"
        )
    forbid_unsafe_loading()
    cfg = copy.deepcopy(cfg)
    for backbone in backbone_configs(cfg.get("model")):
        MODELS.build(backbone)  # its errors come before pages of log, and before any file
    cfg.work_dir = str(_work_dir(cfg, work_dir))
    _put_tables_into_work_dir(cfg)
    cfg.resume = resume and (Path(cfg.work_dir) / "last_checkpoint").exists()
    if cfg.resume:  # mmengine would follow the path on record, which a copied folder shares
        cfg.load_from = last_checkpoint(cfg.work_dir)
    cfg.launcher = launcher
    randomness = dict(cfg.get("randomness", {}))
    cfg.randomness = randomness | ({} if seed is None else {"seed": seed})
    # By name, here and elsewhere: a config with classes in it cannot be read after it was dumped.
    cfg.setdefault("default_hooks", {})
    cfg.default_hooks.setdefault("ticket", dict(type="TicketHook"))
    cfg.default_hooks.setdefault("classes", dict(type="ClassCountHook"))
    cfg.default_hooks.setdefault("resources", dict(type="ResourceHook"))
    cfg.default_hooks.setdefault("progress", dict(type="ProgressBarHook"))
    # Loggers are found by this name: two runs of one process must not share it.
    cfg.experiment_name = f"{Path(cfg.work_dir).name}_{time.time_ns()}"
    if launcher == "pytorch" and not torch.cuda.is_available():
        _prepare_cpu_processes(cfg)
    try:
        return (QuietRunner if quiet else Runner).from_cfg(cfg)
    except RuntimeError as error:
        # mmcv's own line for a part whose compiled operator is missing names it and the package.
        if re.search(r"install \S*mmcv for \w+ ops", str(error)):
            raise ConfigError(f"{cfg.filename}: {error}") from error
        raise


def _put_tables_into_work_dir(cfg: Config) -> None:
    """A metric's relative ``csv_file`` is meant to lie where everything else of the run does."""
    for key in ("val_evaluator", "test_evaluator"):
        evaluators = cfg.get(key) or []
        for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
            if isinstance(evaluator, dict) and evaluator.get("csv_file"):
                evaluator["csv_file"] = str(Path(cfg.work_dir) / evaluator["csv_file"])


def _prepare_cpu_processes(cfg: Config) -> None:
    """Several processes on a machine without CUDA, whose devices mmengine's launcher would set."""
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
    """The last checkpoint that a training wrote.

    Raises:
        CheckpointError: If there is none.
    """
    if not (Path(work_dir) / "last_checkpoint").exists():
        raise CheckpointError(f"{work_dir}: no checkpoint, the training has not finished an epoch")
    found = Path(find_latest_checkpoint(str(work_dir)))
    here = Path(work_dir) / found.name  # the path on record is absolute, and folders move
    return str(here if here.exists() else found)
