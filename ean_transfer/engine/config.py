"""From a config file and command line options to a runner: what all tools share."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.runner import Runner

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.backbones import BACKBONES
from ean_transfer.errors import ConfigError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.checkpoint import ticket_of

_BACKBONES = [family.__name__ for family in BACKBONES.values()]
# What a config may have beside its own variables: the runner's arguments, and what it looks up.
_SETTINGS = [
    *list(inspect.signature(Runner.__init__).parameters)[1:],
    *("compile", "find_unused_parameters", "model_wrapper_cfg", "sync_bn"),
]


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
