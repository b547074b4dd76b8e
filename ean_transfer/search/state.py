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

_TENSOR, _ITEMS = "__tensor__", "__items__"


def save_state(file: Path, state: dict[str, Any]) -> None:
    """Write dicts, lists, tensors, numbers and strings, nested in any way; atomically."""
    write_atomically(file, json.dumps(_plain(state)) + "\n")


def load_state(file: Path) -> dict[str, Any]:
    """Read a search's state that :func:`save_state` wrote; tuples come back as lists.

    Raises:
        CheckpointError: The file cannot be read, or is no search's state.
    """
    try:
        state = _restored(json.loads(file.read_text(encoding="utf-8")))
        return {name: state[name] for name in ("step", "settings", "strategy")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{file}: expected a search's state, found something else ({error!r}): start again "
            "without --resume"
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
