"""From a config file and command line options to a runner: what all tools share."""

from __future__ import annotations

import copy
import inspect
import logging
import os
import re
import time
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import MODELS
from mmengine.runner import Runner, find_latest_checkpoint

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer import class_count, mixed_precision, progress, resources  # noqa: F401 - by name
from ean_transfer.backbones import BACKBONES
from ean_transfer.checkpoint import forbid_unsafe_loading, read_checkpoint, ticket_of
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.ticket import Ticket

_BACKBONES = [family.__name__ for family in BACKBONES.values()]
# What a config may have beside its own variables: the runner's arguments, and what it looks up.
_SETTINGS = [
    *list(inspect.signature(Runner.__init__).parameters)[1:],
    *("compile", "find_unused_parameters", "model_wrapper_cfg", "sync_bn"),
]
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


def load_config(path: str | os.PathLike[str], options: dict[str, Any] | None = None) -> Config:
    """Read a config file and apply ``--cfg-options``.

    Raises:
        ConfigError: If the file is missing or is not a valid config; an option's key that leads
            through something that is not a dict, or is neither in the config nor a setting of
            mmengine's runner.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"{file}: no such config file")
    try:
        cfg = Config.fromfile(file)
    except Exception as error:  # a config is Python: anything can be wrong with it
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f"{file}: not a valid config ({reason[-1]})") from error
    if options:
        known = [*cfg, *_SETTINGS]
        for key in (key.partition(".")[0] for key in options):
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f": did you mean {near[0]}?" if near else ""
                raise ConfigError(f"--cfg-options: {file} has no {key!r}{hint}")
        try:
            cfg.merge_from_dict(options)
        except (TypeError, KeyError, AssertionError) as error:
            raise ConfigError(f"--cfg-options {options}: do not fit {file} ({error})") from error
    if "data_preprocessor" in cfg and isinstance(cfg.get("model"), dict):
        # mmengine's runner does the same; so whoever builds the model alone has it, too.
        cfg.model.setdefault("data_preprocessor", cfg.data_preprocessor)
    return cfg


def backbone_configs(cfg: Any) -> Iterator[ConfigDict]:
    """The ticketed backbones in a (part of a) config, wherever they sit."""
    if isinstance(cfg, dict):
        if _name(cfg.get("type")) in _BACKBONES:
            yield cfg  # type: ignore[misc]
        for value in cfg.values():
            yield from backbone_configs(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            yield from backbone_configs(value)


def _name(kind: Any) -> str | None:
    # A config that was dumped into a work dir has classes as text, with their module.
    return kind.rpartition(".")[2] if isinstance(kind, str) else getattr(kind, "__name__", None)


def set_ticket(cfg: Config, ticket: str) -> None:
    """Give every ticketed backbone of the config's model a ticket.

    Args:
        cfg: The config.
        ticket: ``none``, ``full``, a file, or ``zoo:NAME``.

    Raises:
        TicketError: If there is no such ticket, or it is not valid.
        ConfigError: If the config's model has no ticketed backbone.
    """
    if ticket not in ("none", "full"):
        Ticket.load(ticket)  # its errors come before anything is built
        if not ticket.startswith("zoo:"):
            ticket = str(Path(ticket).resolve())
    found = list(backbone_configs(cfg.get("model")))
    if not found:
        raise ConfigError(
            f"{cfg.filename}: --ticket needs a ticketed backbone "
            f"({' or '.join(_BACKBONES)}) in the config's model, found none"
        )
    for backbone in found:
        backbone["ticket"] = ticket


def use_ticket_of(cfg: Config, checkpoint: str | os.PathLike[str]) -> None:
    """Give every ticketed backbone of the config's model the ticket that a checkpoint carries.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
        TicketError: If what it carries is not a ticket.
    """
    ticket = ticket_of(read_checkpoint(checkpoint))
    if ticket is not None:
        for backbone in backbone_configs(cfg.model):
            backbone["ticket"] = ticket.model_dump(mode="json")
            backbone.pop("asr", None)  # the ticket says it, and may be that of a folded network


def set_amp(cfg: Config) -> None:
    """Train with automatic mixed precision: float16 with a loss scale, or bfloat16 on CPUs.

    Raises:
        ConfigError: If the config uses an optimiser wrapper of its own.
    """
    kind = _name(cfg.optim_wrapper.get("type", "OptimWrapper"))
    if kind not in ("OptimWrapper", "AmpOptimWrapper", "BFloat16OptimWrapper"):
        raise ConfigError(f"--amp replaces OptimWrapper, but the config has {kind}")
    if get_device() not in ("cuda", "npu", "mlu", "musa") or kind == "BFloat16OptimWrapper":
        cfg.optim_wrapper["type"] = "BFloat16OptimWrapper"
        for option in ("loss_scale", "dtype", "use_fsdp"):  # AmpOptimWrapper's
            cfg.optim_wrapper.pop(option, None)
        return
    cfg.optim_wrapper["type"] = "AmpOptimWrapper"
    cfg.optim_wrapper.setdefault("loss_scale", "dynamic")


def add_tensorboard(cfg: Config) -> None:
    """Also write scalars as TensorBoard events, into the run's ``vis_data`` folder.

    Raises:
        ConfigError: If tensorboard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError("--tensorboard needs tensorboard: pip install tensorboard")
    visualizer = cfg.get("visualizer") or dict(type="Visualizer")
    backends = visualizer.get("vis_backends") or [dict(type="LocalVisBackend")]
    cfg.visualizer = {
        **visualizer,
        "vis_backends": [*backends, dict(type="TensorboardVisBackend")],
    }


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
