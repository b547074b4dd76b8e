"""BatchNorm statistics of a mask: a supernet's own running ones belong to none of its masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer.supernet.sharing import Work
from ean_transfer.ticket.mask import Mask


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Yield while BatchNorm layers normalise by the current batch, in either mode.

    On exit the layers have their running statistics again, as they were.
    """
    layers = _tracking_layers(model)
    before = [dict(layer._buffers) for layer in layers]
    for layer in layers:
        layer.running_mean = layer.running_var = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for layer, buffers in zip(layers, before, strict=True):
            layer._buffers.update(buffers)


class OwnStatistics:
    """Running statistics of their own for every BatchNorm layer and beginning of a mask.

    A layer's input depends only on the connections before it, so masks that begin alike share
    statistics. They are plain averages over the batches that run within :meth:`estimating`.

    Args:
        model: The model.
        work: The masks' work, which knows how far a forward is.
    """

    def __init__(self, model: nn.Module, work: Work) -> None:
        self._layers = _tracking_layers(model)
        self._work = work
        self._buffers: dict[tuple[nn.Module, Mask], dict[str, Tensor]] = {}

    @contextmanager
    def estimating(self) -> Iterator[None]:
        """Yield while batches are normalised by their own statistics, which are averaged."""
        for layer in self._layers:
            layer.training, layer.momentum = True, None
        try:
            yield
        finally:
            for layer in self._layers:
                layer.training = False

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Yield while the layers use the statistics kept here; on exit they have their own."""
        before = [(dict(layer._buffers), layer.training, layer.momentum) for layer in self._layers]
        handles = [layer.register_forward_pre_hook(self._choose) for layer in self._layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for layer, (buffers, training, momentum) in zip(self._layers, before, strict=True):
                layer._buffers.update(buffers)
                layer.training, layer.momentum = training, momentum

    def _choose(self, layer: nn.Module, _: Any) -> None:
        place = (layer, self._work.bits)
        if place not in self._buffers:
            self._buffers[place] = _fresh(layer)
        layer._buffers.update(self._buffers[place])


def has_batchnorm(model: nn.Module) -> bool:
    """Whether what a model returns for an image may depend on the other images of its batch."""
    return any(isinstance(module, _BatchNorm) for module in model.modules())


def _tracking_layers(model: nn.Module) -> list[_BatchNorm]:
    """The layers with running statistics; others always normalise by the batch."""
    layers = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [layer for layer in layers if layer.running_mean is not None]


def _fresh(layer: nn.Module) -> dict[str, Tensor]:
    """Buffers of a layer that has seen no batch."""
    buffers = {name: torch.zeros_like(buffer) for name, buffer in layer.named_buffers()}
    return buffers | {"running_var": torch.ones_like(buffers["running_var"])}
