"""Reading checkpoints safely: tensors and plain data, never code."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint

from ean_transfer.errors import CheckpointError
from ean_transfer.io.annotations import read_plain_data_only
from ean_transfer.io.sources import weights_file
from ean_transfer.io.stand_ins import STAND_INS


def read_checkpoint(source: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint that holds tensors and plain data; never run code from it.

    Args:
        source: A file, an address or a published name, see
            :func:`~ean_transfer.io.sources.weights_file`.
        map_location: Device of the tensors, as for ``torch.load``; those of a ``.safetensors`` file
            stay on the CPU.

    Raises:
        CheckpointError: The file is missing or broken, or holds anything else; the offender is
            named and there is no fallback.
    """
    file = weights_file(source)
    checkpoint: Any = None
    try:
        problem = _broken_part(file)
        if problem is None:
            checkpoint = _read(file, map_location)
            problem = _wrong_part(checkpoint)
    except Exception as error:  # torch's reader raises any kind of error where a file is broken
        problem = _reason(error, file)
    if problem is not None:
        raise CheckpointError(f"{file}: {problem}")
    # Text of a config, which mmengine would execute when it resumes.
    checkpoint.get("meta", {}).pop("config", None)
    if os.fspath(source).startswith("mmcls://"):  # whole classifiers, meant for a bare backbone
        checkpoint["state_dict"] = {
            name.removeprefix("backbone."): tensor
            for name, tensor in weights_of(checkpoint).items()
            if name.startswith("backbone.")
        }
    return checkpoint


def _read(file: Path, map_location: Any) -> Any:
    if file.suffix == ".safetensors":  # Hugging Face's format: tensors by name and nothing else
        load_file: Any = import_module("safetensors.torch").load_file
        return load_file(file)
    with torch.serialization.safe_globals(STAND_INS):
        return torch.load(file, map_location=map_location, weights_only=True)


def _broken_part(file: Path) -> str | None:
    """What is wrong with a file before any of it is read as a checkpoint."""
    if not file.is_file():  # reading from a pipe or a device might never end
        return (
            "no such checkpoint"
            if not file.exists()
            else "expected a file, found a folder, a pipe or a device"
        )
    if not zipfile.is_zipfile(file):
        return None  # a format from before 2020, without checksums
    with zipfile.ZipFile(file) as archive:
        size = sum(part.file_size for part in archive.infolist())
        if size > file.stat().st_size:  # torch does not compress: a few MB could fill the memory
            return (
                f"refused, its {file.stat().st_size / 1e6:.1f} MB unpack to {size / 1e6:.1f} MB; "
                "expected an archive without compression, as torch.save writes it"
            )
        part = archive.testzip()  # torch itself would read a flipped byte as another value
    return part and f"broken, its part {part} does not have its checksum; use another checkpoint"


def _reason(error: Exception, file: Path) -> str:
    """Why torch could not read a file, without its advice to load the file unsafely."""
    if isinstance(error, pickle.UnpicklingError) and (offenders := _offenders(error, file)):
        return (
            f"refused, because it holds more than tensors and plain data ({', '.join(offenders)}); "
            "docs/safety.md says how to turn a file that you trust into a safe one"
        )
    if isinstance(error, ModuleNotFoundError):
        return f"reading it needs {error.name}: pip install {error.name}"
    clear = isinstance(error, (RuntimeError, OSError)) and str(error)
    reason = str(error).splitlines()[0] if clear else type(error).__name__
    return f"cannot be read, it is not a checkpoint or it is broken ({reason})"


def _offenders(error: Exception, file: Path) -> list[str]:
    """Names of what a checkpoint holds beside tensors and plain data."""
    offenders: list[str] = []
    with suppress(Exception), torch.serialization.safe_globals(STAND_INS):
        offenders = sorted(get_unsafe_globals_in_checkpoint(file))[:3]  # present format only
    return offenders or re.findall(r"GLOBAL (\S+)", str(error))[:1]


def _wrong_part(checkpoint: Any) -> str | None:
    """What is not as it is in a checkpoint: a dict of tensors by name, and a dict of plain data."""
    parts = checkpoint if isinstance(checkpoint, dict) else {}
    for name, part in (
        ("the checkpoint", checkpoint),
        ("its meta", parts.get("meta", {})),
        ("its state_dict", parts.get("state_dict", {})),
    ):
        if not isinstance(part, dict):
            return f"expected {name} to be a dict, found {type(part).__name__}"
    for key, value in parts.get("state_dict", {}).items():
        if not (isinstance(key, str) and isinstance(value, Tensor)):
            return (
                f"expected tensors by name in its state_dict, found {key!r:.40}: "
                f"{type(value).__name__}"
            )
    return None


def forbid_unsafe_loading() -> None:
    """Make mmengine read all checkpoints with :func:`read_checkpoint`, in this process.

    mmengine's own reader of files falls back to an unsafe load with a warning, and those of
    addresses and names load unsafely. Its readers of annotation files are replaced as well, see
    :mod:`~ean_transfer.io.annotations`.
    """
    read_plain_data_only()

    def load_from_safe(filename: str, map_location: Any = None) -> dict[str, Any]:
        return read_checkpoint(filename, map_location)

    schemes = list(CheckpointLoader._schemes)
    CheckpointLoader.register_scheme(prefixes=schemes, loader=load_from_safe, force=True)


def weights_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint, which some files hold without anything around them."""
    return checkpoint.get("state_dict", checkpoint)
