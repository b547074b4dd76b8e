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

# What mmengine's own checkpoints hold beside tensors. It also allows `getattr`, with which a
# crafted file can reach anything; nothing here needs it.
_HARMLESS = [
    HistoryBuffer,
    np.ndarray,
    np.dtype,
    _reconstruct,
    scalar,
    *(type(np.dtype(kind)) for kind in (np.uint32, np.int64, np.float32, np.float64)),
]


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint that holds tensors and plain data; never runs code from it.

    Raises:
        CheckpointError: If the file is missing or broken, or holds anything else; the offender is
            named and there is no fallback.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise CheckpointError(f"{file}: no such checkpoint")
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            checkpoint = torch.load(file, map_location=map_location, weights_only=True)
    except Exception as error:  # torch's reader raises anything at all where a file is broken
        if offender := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{file}: refused, since it holds more than tensors and plain data ({offender[1]})"
            ) from None
        # The reader's own advice would be to load it unsafely.
        known = isinstance(error, (RuntimeError, OSError)) and str(error)
        reason = str(error).splitlines()[0] if known else type(error).__name__
        raise CheckpointError(
            f"{file}: cannot be read, it is no checkpoint or a broken one ({reason})"
        ) from None
    for what, found in (
        ("the checkpoint", checkpoint),
        ("its meta", _part(checkpoint, "meta")),
        ("its state_dict", _part(checkpoint, "state_dict")),
    ):
        if not isinstance(found, dict):
            raise CheckpointError(
                f"{file}: expected {what} to be a dict, found {type(found).__name__}"
            )
    for name, value in _part(checkpoint, "state_dict").items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise CheckpointError(
                f"{file}: expected tensors by name in its state_dict, found {name!r:.40}: "
                f"{type(value).__name__}"
            )
    return checkpoint


def _part(checkpoint: Any, name: str) -> Any:
    return checkpoint.get(name, {}) if isinstance(checkpoint, dict) else {}


def forbid_unsafe_loading() -> None:
    """Make every local checkpoint that mmengine loads in this process go through our reader.

    mmengine's own falls back to an unsafe load with a warning.
    """

    def load_local(filename: str, map_location: Any = None) -> dict[str, Any]:
        return read_checkpoint(filename, map_location)

    CheckpointLoader.register_scheme(prefixes="", loader=load_local, force=True)


def weights_of(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    return checkpoint.get("state_dict", checkpoint)
