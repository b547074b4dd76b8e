"""The file format of a search's state: JSON with tensors in base64, so never code."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ean_transfer.errors import CheckpointError
from ean_transfer.io.files import write_atomically
from ean_transfer.io.records import read_record, with_checksum

_TENSOR, _ITEMS = "__tensor__", "__items__"
_KEYS = ("step", "settings", "strategy", "trace_lines", "trace_sha256")

START_ANEW = (
    "delete search_state.json and resume again: trained supernets are kept, and the search starts "
    "at its first step"
)
"""The remedy that loses least where a stopped search cannot be resumed."""


def save_state(file: Path, state: dict[str, Any]) -> None:
    """Write dicts, lists, tensors, numbers and strings, nested in any way; atomically."""
    write_atomically(file, json.dumps(with_checksum(_plain(state))) + "\n")


def load_state(file: Path) -> dict[str, Any]:
    """Read a search's state that :func:`save_state` wrote; tuples come back as lists.

    Raises:
        CheckpointError: The file is torn or was changed, or is the state of an older version.
    """
    state = read_record(file, "a search's state", START_ANEW, _KEYS, CheckpointError)
    try:
        return _restored(state)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{file}: expected a search's state, found something else ({error!r:.80}): {START_ANEW}"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu().contiguous().numpy()
        data = base64.b64encode(array.tobytes()).decode("ascii")
        return {_TENSOR: data, "dtype": str(array.dtype), "shape": list(array.shape)}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: _plain(item) for key, item in value.items()}
        return {_ITEMS: [[key, _plain(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        if _TENSOR in value:
            data = np.frombuffer(base64.b64decode(value[_TENSOR]), dtype=value["dtype"])
            return torch.from_numpy(data.reshape(value["shape"]).copy())
        if _ITEMS in value:
            return {key: _restored(item) for key, item in value[_ITEMS]}
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return value
