"""From a config to a runner: its work dir, its launcher, and the hooks that every run has."""

from __future__ import annotations

import copy
import os
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.runner import Runner

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
import ean_transfer.engine.hooks
import ean_transfer.engine.optim  # noqa: F401 - registers what configs name
from ean_transfer.engine.checkpoints import LAST, checkpoints_in, find_checkpoint, seed_of
from ean_transfer.engine.config import model_class
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.engine.tidy_runner import QuietRunner, TidyRunner
from ean_transfer.errors import ConfigError
from ean_transfer.io.checkpoint import forbid_unsafe_loading
from ean_transfer.io.files import refuse_to_replace
from ean_transfer.io.notices import notice

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


def _default_work_dir(cfg: Config) -> Path:
    """``work_dirs/<the config's folder>/<its name>``: tasks have configs of the same name."""
    file = Path(cfg.filename or "run")
    return Path("work_dirs") / file.resolve().parent.name / file.stem


def work_dir_of(cfg: Config, chosen: str | os.PathLike[str] | None) -> Path:
    """The chosen folder, or the config's ``work_dir``, or the default one."""
    return Path(chosen or cfg.get("work_dir") or _default_work_dir(cfg))


def require_new_work_dir(cfg: Config, work_dir: str | os.PathLike[str] | None = None) -> None:
    """Refuse to start a training in a folder that holds another one's checkpoints.

    Args:
        cfg: The config.
        work_dir: Folder of the training; the default is that of :func:`build_runner`.

    Raises:
        ConfigError: The folder holds checkpoints.
    """
    folder = work_dir_of(cfg, work_dir)
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
        quiet: Whether only problems are shown on the terminal.
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
    cfg.work_dir = str(work_dir_of(cfg, work_dir))
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
    on_cpus = launcher == "pytorch" and not torch.cuda.is_available()
    if on_cpus and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")  # mmengine's launcher would set a device
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
