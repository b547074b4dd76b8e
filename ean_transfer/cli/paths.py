"""Checks the files that a command line names, before torch is imported, which takes seconds."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ean_transfer.engine.config_files import config_file, similar_config
from ean_transfer.errors import CheckpointError, ConfigError, DataError
from ean_transfer.io.files import expanded, locked

_LOADERS = {
    "train": ("train_dataloader", "val_dataloader"),
    "search": ("train_dataloader", "val_dataloader"),
    "test": ("test_dataloader",),
}
"""Command -> the config's loaders whose data it reads."""
_DOWNLOADED = ("CIFAR10", "CIFAR100", "MNIST")  # by mmpretrain, where they are missing
CHECKPOINTS = (".pth", ".pt", ".pt2", ".ckpt", ".onnx", ".safetensors")
"""Ends of the names of trained networks, exported ones among them."""


def require_paths(arguments: argparse.Namespace) -> None:
    """Refuse a config, checkpoint, ticket or data root that is not there, and swapped arguments.

    What a command's other parts can name as well (weights by an address, a ticket of the zoo) is
    left to them.

    Args:
        arguments: The parsed command line of any command.

    Raises:
        ConfigError, CheckpointError, DataError: Something is missing, or two were swapped.
    """
    config, checkpoints = getattr(arguments, "config", None), list(_checkpoints(arguments))
    inputs = getattr(arguments, "inputs", [])[:2]  # predict's, which begin with the network
    is_config = [config_file(text).suffix == ".py" for text in inputs]
    if len(inputs) == 2 and any(is_config):
        config, checkpoints = inputs[0], [inputs[1]]
    if isinstance(config, str):
        _require_config(config, takes_both=hasattr(arguments, "checkpoint") or bool(checkpoints))
    for file in checkpoints:
        if file.endswith(".py"):
            raise ConfigError(
                f"expected a checkpoint, found {file}, a config: did you swap CONFIG and "
                "CHECKPOINT?"
            )
        if _is_missing(file):
            raise CheckpointError(f"{file}: no such checkpoint")
    ticket = getattr(arguments, "ticket", None)
    _require_data(arguments)
    if isinstance(ticket, str) and ticket.endswith(".json") and _is_missing(ticket):
        raise ConfigError(f"{ticket}: no such ticket file")


def alone_in(work_dir: Path, launcher: str) -> AbstractContextManager[None]:
    """Context manager in which no other command of its kind works in a work dir.

    Of several processes the first one asks for it. Those that srun or mpirun has started do not
    know yet which one that is, and do without.
    """
    is_first = launcher in ("none", "pytorch") and os.environ.get("RANK", "0") == "0"
    return locked(work_dir, wait=False) if is_first else nullcontext()


def _checkpoints(arguments: argparse.Namespace) -> Iterator[str]:
    """Everything that a command line names as a checkpoint."""
    for name in ("checkpoint", "weights", "supernet", "networks"):
        values = getattr(arguments, name, None) or []
        for text in values if isinstance(values, list) else [values]:
            if name == "networks":  # NAME=CHECKPOINT or NAME=CHECKPOINT,CHECKPOINT,...
                files = text.partition("=")[2]
                yield from [files] if Path(files).exists() else filter(None, files.split(","))
            elif isinstance(text, str):
                yield text


def _require_config(config: str, takes_both: bool) -> None:
    file = config_file(config)
    if file.is_dir():
        project = file / "study.py"
        hint = f"; a project is run by 'ean run {file}'" if project.is_file() else ""
        raise ConfigError(f"{config}: expected a config (.py), found a folder{hint}")
    if file.suffix in CHECKPOINTS:
        swapped = ": did you swap CONFIG and CHECKPOINT?" if takes_both else ""
        raise ConfigError(f"expected a config (.py), found {config}, a checkpoint{swapped}")
    if not file.exists():
        near = similar_config(config)
        hint = f"did you mean {near}?" if near else "'ean configs' lists those of the package"
        raise ConfigError(f"{config}: no such config; {hint}")


def _require_data(arguments: argparse.Namespace) -> None:
    """Refuse a config whose data are not there, unless the command line names other data."""
    command = arguments.run.__module__.rpartition(".")[2] if hasattr(arguments, "run") else ""
    options = " ".join(getattr(arguments, "cfg_options", None) or [])
    if command not in _LOADERS or arguments.data or "data_root" in options:
        return
    from mmengine.config import Config  # which imports no torch

    try:
        cfg = Config.fromfile(config_file(arguments.config), import_custom_modules=False)
    except Exception:  # said by load_config, which reads it again
        return
    for loader in _LOADERS[command]:
        for root in _data_roots(dict.get(cfg._cfg_dict, loader)):
            if _is_missing(root):
                raise DataError(
                    f"{root}: no such folder, expected the data of {loader} in {arguments.config}; "
                    "--data DIR reads them elsewhere"
                )


def _data_roots(part: Any) -> Iterator[str]:
    """The ``data_root`` of all data sets in a part of a config that was read but not imported."""
    if isinstance(part, (list, tuple)):
        for value in part:
            yield from _data_roots(value)
    if not isinstance(part, dict):
        return
    values = dict(dict.items(part))  # as they stand: mmengine's own access imports what is named
    root = values.get("data_root")
    if isinstance(root, str) and root and not str(values.get("type")).endswith(_DOWNLOADED):
        yield root
    for value in values.values():
        yield from _data_roots(value)


def _is_missing(text: str) -> bool:
    """Whether a text can only be a path, and nothing is there."""
    path = text.partition("#sha256=")[0]  # as of weights, see io/sources.py
    return ":" not in path.replace(":\\", "") and not expanded(path).exists()
