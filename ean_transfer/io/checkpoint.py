"""Reading checkpoints safely: tensors and plain data, never code."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from numpy._core.multiarray import _reconstruct, scalar
from torch import Tensor

from ean_transfer.errors import CheckpointError

# What mmengine's own checkpoints hold beside tensors. mmengine also allows `getattr`, with which a
# crafted file can reach anything; no checkpoint of ours needs it.
_HARMLESS = [
    HistoryBuffer,
    np.ndarray,
    np.dtype,
    _reconstruct,
    scalar,
    *(type(np.dtype(kind)) for kind in (np.uint32, np.int64, np.float32, np.float64)),
]


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint that holds tensors and plain data; never run code from it.

    Raises:
        CheckpointError: The file is missing or broken, or holds anything else; the offender is
            named and there is no fallback.
    """
    file = Path(path).expanduser()
    checkpoint: Any = None
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # torch's reader raises any kind of error where a file is broken
        problem: str | None = _reason(error)
    else:
        problem = _wrong_part(checkpoint)
    if problem is not None:
        raise CheckpointError(f"{file}: {problem}")
    return checkpoint


def _reason(error: Exception) -> str:
    """Why torch could not read a file, without its advice to load the file unsafely."""
    if isinstance(error, FileNotFoundError):
        return "no such checkpoint"
    if offender := re.search(r"GLOBAL (\S+)", str(error)):
        return f"refused, because it holds more than tensors and plain data ({offender[1]})"
    clear = isinstance(error, (RuntimeError, OSError)) and str(error)
    reason = str(error).splitlines()[0] if clear else type(error).__name__
    return f"cannot be read, it is not a checkpoint or it is broken ({reason})"


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
    """Make mmengine read all local checkpoints with :func:`read_checkpoint`, in this process.

    mmengine's own reader falls back to an unsafe load with a warning.
    """

    def load_local(filename: str, map_location: Any = None) -> dict[str, Any]:
        return read_checkpoint(filename, map_location)

    CheckpointLoader.register_scheme(prefixes="", loader=load_local, force=True)


def weights_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint, which some files hold without anything around them."""
    return checkpoint.get("state_dict", checkpoint)
