"""Reading a config, and changing it as the command line asks: ticket, precision, TensorBoard.

Functions named ``set_...`` change the config that they are given and return nothing.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import MODELS
from mmengine.utils import import_modules_from_strings

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.backbones import TICKETED
from ean_transfer.engine.channels import set_channels
from ean_transfer.engine.config_files import config_file, similar_config
from ean_transfer.engine.overrides import options_by_position, require_changes_used
from ean_transfer.engine.pipelines import walk
from ean_transfer.errors import ConfigError
from ean_transfer.io.checkpoint import forbid_unsafe_loading, read_checkpoint
from ean_transfer.registry import type_name
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.files import ticket_of

_BACKBONES = [family.__name__ for family in TICKETED]


def load_config(path: str | os.PathLike[str], options: dict[str, Any] | None = None) -> Config:
    """Read a config file and apply ``--cfg-options``.

    Args:
        path: The file, or the name of one that comes with the package, see
            :func:`~ean_transfer.engine.config_files.config_file`.
        options: Key, with dots -> value.

    Raises:
        ConfigError: The file is missing or not a valid config; an option's key leads through
            something that is not a dict; an option, or a change of a variable in the config, would
            change nothing, see :mod:`~ean_transfer.engine.overrides`.
    """
    file = config_file(path)
    forbid_unsafe_loading()  # of whatever the config names
    try:
        cfg = Config.fromfile(file)
    except Exception as error:  # a config is Python: anything can be wrong with it
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = getattr(error, "strerror", None) or lines[-1]  # the file is already named
        if "Lazy" in reason:  # mmengine's stand-in for what was imported
            reason += (
                "; what a config imports from other packages can be named, and not computed with: "
                "write the value itself"
            )
        if isinstance(error, FileNotFoundError) and not file.exists():
            near = similar_config(path)
            reason += f"; did you mean {near}?" if near else "; 'ean configs' lists configs"
        raise ConfigError(f"{file}: not a valid config ({reason})") from error
    if _names_mmseg(cfg):
        import ean_transfer._mmseg  # noqa: F401 - before mmengine imports it, which is not quiet
    _drop_helpers(cfg)
    require_changes_used(cfg)
    options = options_by_position(cfg, options or {})
    try:
        cfg.merge_from_dict(options)
    except (TypeError, KeyError, AssertionError) as error:
        raise ConfigError(f"--cfg-options {options}: do not fit {file} ({error})") from error
    if "data_preprocessor" in cfg and isinstance(cfg.get("model"), dict):
        # mmengine's runner does the same. Done here, it also holds for a model built without one.
        cfg.model.setdefault("data_preprocessor", cfg.data_preprocessor)
    set_channels(cfg)
    return cfg


def import_custom_modules(cfg: Config) -> None:
    """Import what ``custom_imports`` names, as reading the file does.

    For a config that came from another process, which has read it.
    """
    if named := cfg.get("custom_imports"):
        import_modules_from_strings(**named)


def _names_mmseg(cfg: Config) -> bool:
    """Whether a config names anything of mmseg, as an object, as text or by its scope."""
    return any(
        key.rpartition(".")[2] in ("type", "default_scope")
        and str(getattr(value, "module", value)).partition(".")[0] == "mmseg"
        for key, value in walk(cfg._cfg_dict)
    )


def _drop_helpers(cfg: Config) -> None:
    """Take out what a config's code has left behind: functions, and what cannot be copied.

    Modules and open files are such. mmengine copies all names of a config and writes them down.
    """
    values: dict[str, Any] = cfg._cfg_dict
    for name, value in list(dict.items(values)):  # as it stands: nothing is imported yet
        if isinstance(value, FunctionType):
            del values[name]
            continue
        try:
            copy.deepcopy(value)
        except Exception as error:  # a class may say anything
            if isinstance(value, (dict, list, tuple)):
                raise ConfigError(
                    f"{cfg.filename}: expected values and types in {name!r}, found something else "
                    f"({error}); leave it out"
                ) from error
            del values[name]


def model_class(cfg: Config, *kinds: type) -> type:
    """The class of a config's model, which is not built.

    Args:
        cfg: The config.
        *kinds: Classes of which the model's must be one, or derive from one; any by default.

    Raises:
        ConfigError: The config has no registered model, or one of another kind.
    """
    name = (cfg.get("model") or {}).get("type")
    cls = MODELS.get(name) if isinstance(name, str) else name
    if isinstance(cls, type) and issubclass(cls, kinds or object):
        return cls
    expected = " or ".join(kind.__name__ for kind in kinds) or "a registered class"
    hint = "" if name else "; configs/_base_/ has parts of configs, ean study runs studies"
    raise ConfigError(
        f"{cfg.filename}: expected {expected} as its model, found {type_name(name) or 'none'}{hint}"
    )


def backbone_configs(cfg: Any) -> Iterator[ConfigDict]:
    """Yield the configs of all ticketed backbones in a (part of a) config, at any depth."""
    if isinstance(cfg, dict):
        if type_name(cfg.get("type")) in _BACKBONES:
            yield cfg  # type: ignore[misc]
        cfg = list(cfg.values())
    if isinstance(cfg, (list, tuple)):
        for value in cfg:
            yield from backbone_configs(value)


def set_ticket(cfg: Config, ticket: str | Ticket) -> None:
    """Give every ticketed backbone of the config's model a ticket.

    The config gets the ticket's fields and not the file's path, so that it is complete by itself
    where it is written into a work dir.

    Args:
        cfg: The config, which is changed.
        ticket: ``none``, ``full``, a file, ``zoo:NAME``, or a ticket.

    Raises:
        TicketError: There is no such ticket, or it is not valid.
        ConfigError: The config's model has no ticketed backbone.
    """
    if isinstance(ticket, str) and ticket not in ("none", "full"):
        ticket = Ticket.load(ticket)
    backbones = list(backbone_configs(cfg.get("model")))
    if not backbones:
        raise ConfigError(
            f"{cfg.filename}: --ticket needs a ticketed backbone "
            f"({' or '.join(_BACKBONES)}) in the config's model, found none"
        )
    for backbone in backbones:
        backbone["ticket"] = ticket if isinstance(ticket, str) else ticket.model_dump(mode="json")


def set_ticket_of(cfg: Config, checkpoint: str | os.PathLike[str]) -> None:
    """Give every ticketed backbone of the config's model the ticket that a checkpoint carries.

    Raises:
        CheckpointError: The checkpoint cannot be read.
        TicketError: What it carries is not a ticket.
    """
    ticket = ticket_of(read_checkpoint(checkpoint))
    backbones = list(backbone_configs(cfg.get("model")))
    if ticket is not None and backbones:
        set_ticket(cfg, ticket)
        for backbone in backbones:
            # The ticket itself says whether it is re-parameterised, and a folded network is not.
            backbone.pop("asr", None)


def set_amp(cfg: Config) -> None:
    """Train with automatic mixed precision: float16 with a loss scale, or bfloat16 on CPUs.

    Raises:
        ConfigError: The config has no optimiser wrapper, or one of its own.
    """
    wrapper = optim_wrapper(cfg, "--amp")
    kind = type_name(wrapper.get("type", "OptimWrapper"))
    if kind not in ("OptimWrapper", "AmpOptimWrapper", "BFloat16OptimWrapper"):
        raise ConfigError(f"--amp replaces OptimWrapper, but the config has {kind}")
    if get_device() not in ("cuda", "npu", "mlu", "musa") or kind == "BFloat16OptimWrapper":
        wrapper["type"] = "BFloat16OptimWrapper"
        for option in ("loss_scale", "dtype", "use_fsdp"):  # only AmpOptimWrapper takes them
            wrapper.pop(option, None)
        return
    wrapper["type"] = "AmpOptimWrapper"
    wrapper.setdefault("loss_scale", "dynamic")


def optim_wrapper(cfg: Config, switch: str) -> dict[str, Any]:
    """The config's ``optim_wrapper``, which a switch of the command line is to change.

    Raises:
        ConfigError: The config has none, as one of a study.
    """
    wrapper = cfg.get("optim_wrapper")
    if not isinstance(wrapper, dict):
        raise ConfigError(f"{switch}: expected optim_wrapper in {cfg.filename}, found none")
    return wrapper


def config_hash(data: Any) -> str:
    """The first 16 hex digits of the SHA-256 of configs, the same before and after a dump.

    Args:
        data: Plain data, with configs or parts of them anywhere in it.
    """
    plain = Config({"data": data}).to_dict()["data"]  # classes become their names
    text = json.dumps(plain, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
