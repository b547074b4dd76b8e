"""Batches of plain PyTorch: inputs and targets, for the model, and image by image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ean_transfer.errors import ConfigError


def as_the_model_takes(batch: Any, model: nn.Module) -> Any:
    """A batch with its tensors, however nested, on the model's device and in its memory format.

    On a CPU a network whose weights are channels-last is about twice as fast, but only on maps
    (N, C, H, W) that are channels-last, too.
    """
    device = next(model.parameters()).device
    last = torch.channels_last
    # Kernels of one pixel or one channel are contiguous in both formats.
    kernels = (w for w in model.parameters() if w.ndim == 4 and min(w.shape[1:]) > 1)
    is_last = any(kernel.is_contiguous(memory_format=last) for kernel in kernels)

    def moved(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        leaf = leaf.to(device)
        return leaf.contiguous(memory_format=last) if is_last and leaf.ndim == 4 else leaf

    return tree_map(moved, batch)


def inputs_and_targets(batch: Any) -> tuple[Any, Any]:
    """The two parts of a batch.

    Raises:
        ConfigError: The batch is no pair.
    """
    # The keys of a dict of two would be taken for inputs and targets.
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        length = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise ConfigError(
            f"expected batches of inputs and targets, found {type(batch).__name__}{length}"
        )
    inputs, targets = batch
    return inputs, targets


def mean_loss(loss: Callable[[Any, Any], Tensor], outputs: Any, targets: Any) -> Tensor:
    """The mean loss of a batch, as a scalar.

    Raises:
        ConfigError: The function returns something else than a tensor with one number.
    """
    value = loss(outputs, targets)
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = f" {tuple(value.shape)}" if isinstance(value, Tensor) else ""
        raise ConfigError(
            "the loss: expected a tensor with one number, the mean over the batch, found "
            f"{type(value).__name__}{shape}"
        )
    return value.reshape(())


def is_one_for_all(outputs: Any) -> bool:
    """Whether outputs are the same for all images: numbers, such as a batch's mean loss."""
    if isinstance(outputs, (dict, list, tuple)):
        return all(map(is_one_for_all, outputs.values() if isinstance(outputs, dict) else outputs))
    if isinstance(outputs, Tensor):
        return outputs.ndim == 0
    return outputs is None or isinstance(outputs, (int, float, str))


def image_of(batch: Any, index: int, images: int) -> Any:
    """One image's part of outputs or targets, still with a batch dimension of 1.

    Args:
        batch: Tensors whose first axis is that of the images, also in lists, tuples and dicts;
            single numbers, texts and ``None`` are the same for all images.
        index: The image's number.
        images: Number of images in the batch.

    Raises:
        ConfigError: The batch cannot be divided into images.
    """
    if isinstance(batch, dict):
        part = copy.copy(batch)  # of its own class, whose values may be attributes as well
        for key, value in batch.items():
            part[key] = image_of(value, index, images)
        return part
    if isinstance(batch, (list, tuple)):
        parts = [image_of(value, index, images) for value in batch]
        return batch._make(parts) if hasattr(batch, "_make") else parts
    if isinstance(batch, Tensor) and batch.ndim > 0:
        if len(batch) == images:
            return batch[index : index + 1]
    elif is_one_for_all(batch):
        return batch
    shape = f" {tuple(batch.shape)}" if isinstance(batch, Tensor) else ""
    raise ConfigError(
        "the loss is computed image by image: expected outputs and targets whose first axis is "
        f"that of the {images} images, found {type(batch).__name__}{shape}: give a score instead "
        "(docs/own_network.md)"
    )
