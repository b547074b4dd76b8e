"""Scoring masks on a frozen supernet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from ean_transfer.errors import ConfigError
from ean_transfer.supernet.masks import find_backbone, unwrapped

BN_STATISTICS = ("batch", "recalibrated", "running")


@dataclass(frozen=True)
class Score:
    """How a mask does on the held-out images."""

    accuracy: float  # top-1, percent
    loss: float  # mean cross entropy, nats
    images: int


class MaskEvaluator:
    """Scores masks of a frozen supernet, each with BatchNorm statistics of its own.

    The supernet's running statistics belong to half-connected masks: with them accuracy mostly
    follows the *number* of connections. So a candidate gets its own:

    - ``"batch"`` (default): each scoring batch is normalised by its own mean and variance;
    - ``"recalibrated"``: running statistics are estimated anew for each mask, over one pass of the
      scoring images, and then used;
    - ``"running"``: the supernet's, as in the papers' code; for fidelity only.

    The images are the same, in the same batches, for all masks. They are kept in memory if they
    fit. Under a distributed launcher the data loader's sampler divides them among the ranks, and
    the counts are summed.

    Args:
        model: An mmpretrain classifier on a ticketed backbone built with ticket ``"full"``.
        dataloader: Held-out images in a fixed order that mixes the classes.
        bn: Which BatchNorm statistics a candidate is scored with.
        max_cached_bytes: Keep the preprocessed images in memory up to this size.

    Raises:
        ConfigError: For an unknown ``bn``, or a model without a ticketed backbone.
    """

    def __init__(
        self,
        model: nn.Module,
        dataloader: DataLoader,
        bn: str = "batch",
        max_cached_bytes: float = 2e9,
    ) -> None:
        if bn not in BN_STATISTICS:
            raise ConfigError(f"bn is one of {', '.join(BN_STATISTICS)}, found {bn!r}")
        self.model = unwrapped(model)
        self.backbone = find_backbone(model)
        self.dataloader = dataloader
        self.bn = bn
        self.max_cached_bytes = max_cached_bytes
        self._cached: list[tuple[Tensor, Tensor]] | None = None

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of preprocessed images (N, C, H, W) and labels (N,)."""
        if self._cached is not None:
            yield from self._cached
            return
        kept: list[tuple[Tensor, Tensor]] | None = []
        for raw in self.dataloader:
            data: dict[str, Any] = self.model.data_preprocessor(raw, training=False)
            labels = torch.cat([sample.gt_label for sample in data["data_samples"]])
            batch = (data["inputs"], labels.to(data["inputs"].device))
            if kept is not None:
                kept.append(batch)
                if len(kept) * batch[0].nbytes > self.max_cached_bytes:
                    kept = None
            yield batch
        self._cached = kept

    @torch.inference_mode()
    def score(self, mask: Sequence[bool]) -> Score:
        """Score one mask on all held-out images; the supernet is left as it was."""
        previous = self.backbone.mask
        self.backbone.set_mask(mask)
        was_training = self.model.training
        self.model.eval()
        try:
            with self._own_statistics():
                total = self._count()
        finally:
            self.backbone.set_mask(previous)
            self.model.train(was_training)
        all_reduce(total)
        correct, loss, images = total.tolist()
        return Score(accuracy=100.0 * correct / images, loss=loss / images, images=int(images))

    def _count(self) -> Tensor:
        """Sums over the images: correct, cross entropy, images."""
        total = torch.zeros(3, dtype=torch.float64)
        for images, labels in self._batches():
            logits = self.model(images, mode="tensor")
            loss = F.cross_entropy(logits, labels, reduction="sum")
            correct = (logits.argmax(dim=1) == labels).sum()
            total += torch.tensor([correct.item(), loss.item(), len(labels)], dtype=torch.float64)
        return total

    @contextmanager
    def _own_statistics(self) -> Iterator[None]:
        layers = [layer for layer in self.model.modules() if isinstance(layer, _BatchNorm)]
        if self.bn == "running":
            yield
        elif self.bn == "batch":
            with batch_statistics(layers):
                yield
        else:
            saved = [
                {name: buffer.clone() for name, buffer in layer.named_buffers()} for layer in layers
            ]
            try:
                with cumulative_statistics(layers):
                    for images, _ in self._batches():
                        self.model(images, mode="tensor")
                yield
            finally:
                for layer, buffers in zip(layers, saved, strict=True):
                    for name, buffer in buffers.items():
                        getattr(layer, name).copy_(buffer)


@contextmanager
def batch_statistics(layers: Sequence[_BatchNorm]) -> Iterator[None]:
    """Within: BatchNorm layers normalise by the batch at hand and leave their buffers alone."""
    before = [(layer.training, layer.track_running_stats) for layer in layers]
    for layer in layers:
        layer.training, layer.track_running_stats = True, False
    try:
        yield
    finally:
        for layer, (training, track) in zip(layers, before, strict=True):
            layer.training, layer.track_running_stats = training, track


@contextmanager
def cumulative_statistics(layers: Sequence[_BatchNorm]) -> Iterator[None]:
    """Within: BatchNorm layers start their running statistics anew, as plain averages."""
    before = [(layer.training, layer.momentum) for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.training, layer.momentum = True, None
    try:
        yield
    finally:
        for layer, (training, momentum) in zip(layers, before, strict=True):
            layer.training, layer.momentum = training, momentum
