"""Batches of held-out images that are kept on the disk, where they are too large for memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils._pytree import tree_map

_ALIGNMENT = 64  # bytes; more than any dtype needs


def on_disk(batch: Any, folder: Path) -> Any:
    """Copy a batch, its tensors as views of a memory-mapped file.

    The operating system reads the file when a tensor is used, and may drop what it read. The file
    has no name any more when this returns, so that nothing is left of it when the process ends,
    however it ends.

    Args:
        batch: Tensors, and nested dicts, lists, tuples and mmengine's data elements of them.
        folder: Where the file is written.

    Raises:
        OSError: The disk is full, or the folder cannot be written to.
    """
    places: list[int] = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix="held_out_") as file:

        def write(tensor: Tensor) -> Tensor:
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            places.append(file.tell())
            content: Any = _bytes(tensor).numpy()
            file.write(content)
            return tensor

        changed(batch, write)
        file.flush()
        size = file.tell()
        if not size:
            return changed(batch, lambda tensor: tensor)
        mapped = torch.from_file(file.name, shared=False, size=size, dtype=torch.uint8)
    remaining = iter(places)

    def view(tensor: Tensor) -> Tensor:
        start = next(remaining)
        content = mapped[start : start + tensor.numel() * tensor.element_size()]
        return content.view(tensor.dtype).view(tensor.shape)

    return changed(batch, view)


def changed(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Copy a batch with each of its tensors changed; what is no tensor stays the same object."""

    def of_leaf(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return change(leaf)
        if isinstance(leaf, BaseDataElement):
            copy = leaf.new()
            copy.set_data({name: changed(value, change) for name, value in leaf.items()})
            return copy
        return leaf

    return tree_map(of_leaf, batch)


def _bytes(tensor: Tensor) -> Tensor:
    """A tensor's values as bytes (n,), in the order of its dimensions."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
