"""Scores masks on a frozen supernet, by accuracy and loss on held-out images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from ean_transfer.attachment.network import evaluating, find_backbone, unwrapped
from ean_transfer.errors import ConfigError
from ean_transfer.supernet.sampling import require_supernet
from ean_transfer.supernet.tree import Around, OwnStatistics, forward_masks
from ean_transfer.ticket import TicketError
from ean_transfer.ticket.mask import Mask

BN_STATISTICS = ("batch", "recalibrated", "running")


@dataclass(frozen=True)
class Score:
    """Accuracy and loss of a mask on the held-out images."""

    accuracy: float  # top-1, percent
    loss: float  # mean cross entropy, nats
    images: int


@dataclass(frozen=True)
class Outcome:
    """Result of a mask on each of the held-out images, so that masks can be compared in pairs.

    With several supernets the values are means over these.

    Attributes:
        correct: (images,) of float: 1 if right, 0 if wrong.
        loss: (images,) of float32, cross entropy in nats.
    """

    correct: np.ndarray
    loss: np.ndarray

    @property
    def score(self) -> Score:
        """Accuracy and mean loss over the images."""
        return Score(
            accuracy=100.0 * float(self.correct.sum(dtype=np.float64)) / len(self.correct),
            loss=float(self.loss.mean(dtype=np.float64)),
            images=len(self.correct),
        )

    def difference(self, other: Outcome) -> tuple[float, float]:
        """Accuracy above another mask's on the same images, in points, and its standard error.

        Most images are right or wrong under both masks, so the error is far smaller than that of
        two separately measured accuracies.
        """
        gained = 100.0 * (self.correct.astype(np.float64) - other.correct)
        error = gained.std(ddof=1) / np.sqrt(len(gained)) if len(gained) > 1 else float("nan")
        return float(gained.mean()), float(error)


class MaskEvaluator:
    """Scores masks of a frozen supernet, each with BatchNorm statistics of its own.

    The supernet's running statistics are averages over half-connected masks. With them, accuracy
    mostly follows the *number* of connections. So each mask gets statistics of its own:

    - ``"batch"`` (default): each scoring batch is normalised by its own mean and variance;
    - ``"recalibrated"``: running statistics are estimated for each mask, in one pass over the
      scoring images, and then used;
    - ``"running"``: the supernet's running statistics, as in the papers' code; only to reproduce
      these.

    All masks see the same images in the same batches, which are kept in memory if they fit. A
    single image that is left over joins the batch before it, as it would be normalised by itself
    (with ``"running"`` nothing is). Masks
    that are scored together share work (see :func:`~ean_transfer.supernet.tree.forward_masks`), and
    get the scores of each alone. Under a distributed launcher every rank holds all images and
    scores a part of the masks, so scores do not depend on the number of processes.

    Args:
        model: An mmpretrain classifier on a ticketed backbone built with ticket ``"full"``. It gets
            channels-last images, so weights in that memory format are faster.
        dataloader: Held-out images in an order that mixes the classes. They are read in the data
            set's order, whatever the sampler.
        bn: Kind of BatchNorm statistics, see above.
        images: Number of images to use, the first ones, rounded up to whole batches; all by
            default.
        others: Supernets of the same network, trained with other seeds. A mask's score is its mean
            over all supernets.
        max_cached_bytes: Largest size of preprocessed images to keep in memory.

    Raises:
        ConfigError: ``bn`` is unknown, there are no images, images would be normalised one by one,
            or the model has no supernet's backbone.
    """

    def __init__(
        self,
        model: nn.Module,
        dataloader: DataLoader,
        bn: str = "batch",
        images: int | None = None,
        others: Sequence[nn.Module] = (),
        max_cached_bytes: float = 2e9,
    ) -> None:
        if bn not in BN_STATISTICS:
            raise ConfigError(f"bn is one of {', '.join(BN_STATISTICS)}, found {bn!r}")
        if images is not None and images < 1:
            raise ConfigError(f"a mask is scored on at least one image, found images={images}")
        self.models = [unwrapped(one) for one in (model, *others)]
        self.model = self.models[0]
        self.backbone = find_backbone(model)
        require_supernet(self.backbone, "masks are scored on a supernet, but the")
        self.bn = bn
        self._fits = True  # until the images turn out too large for memory
        self._available: int = len(dataloader.dataset)  # type: ignore[arg-type]
        self._source = dataloader
        batches = self._in_batches(images or self._available)
        self.images = sum(map(len, batches))
        self.dataloader = DataLoader(
            dataloader.dataset,
            batch_sampler=batches,
            num_workers=dataloader.num_workers,
            collate_fn=dataloader.collate_fn,
        )
        self.max_cached_bytes = max_cached_bytes
        self._cached: list[tuple[Tensor, Tensor]] | None = None

    def _in_batches(self, images: int) -> list[list[int]]:
        """Places of the first images in the data set, in whole batches."""
        size, available = self._source.batch_size or 1, self._available
        places = list(range(available))
        batches = [places[i : i + size] for i in range(0, available, size)]
        if self.bn != "running":
            if len(batches) > 1 and len(batches[-1]) == 1:
                batches[-2:] = [batches[-2] + batches[-1]]
                print_log(
                    f"{available} held-out images in batches of {size} leave one image over: it "
                    "joins the batch before it, since BatchNorm would normalise it by itself",
                    logger="current",
                )
            if len(batches[0]) == 1:
                raise ConfigError(
                    f"bn={self.bn!r} normalises batches by their own statistics: expected at "
                    f"least 2 held-out images per batch, found {available} in batches of "
                    f"{size}; set val_dataloader.batch_size"
                )
        return batches[: math.ceil(images / size)]

    @property
    def uses_all_images(self) -> bool:
        """Whether masks are scored on all of the held-out images."""
        return self.images == self._available

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W) of the held-out images, as they enter the network."""
        return tuple(next(self._batches())[0].shape[1:])

    def on_all_images(self) -> MaskEvaluator:
        """The same evaluator on all of the held-out images."""
        everything = MaskEvaluator(
            self.model,
            self._source,
            self.bn,
            others=self.models[1:],
            max_cached_bytes=self.max_cached_bytes,
        )
        if everything.images == self.images:
            everything._cached = self._cached
        return everything

    def score(self, mask: Sequence[bool]) -> Score:
        """Score one mask, see :meth:`scores`."""
        return self.scores([mask])[0]

    def scores(self, masks: Sequence[Sequence[bool]]) -> list[Score]:
        """Score masks, in their order; the supernet is left as it was.

        All processes must call it with the same masks, which are divided among them.
        """
        outcomes = self.outcomes(masks)
        return [outcomes[tuple(map(bool, mask))].score for mask in masks]

    def outcomes(self, masks: Sequence[Sequence[bool]]) -> dict[Mask, Outcome]:
        """The result of each mask on each image; all processes must call it with the same masks."""
        rank, world = get_dist_info()
        # Sorted, so that masks which share their first bits are scored by the same rank.
        order = sorted({tuple(map(bool, mask)) for mask in masks})
        for mask in order:
            if len(mask) != self.backbone.ticket.num_blocks:
                raise TicketError(
                    f"{self.backbone.backbone_name} has {self.backbone.ticket.num_blocks} blocks, "
                    f"found {len(mask)} bits"
                )
        mine = self._score(order[rank * len(order) // world : (rank + 1) * len(order) // world])
        return {mask: result for part in all_gather_object(mine) for mask, result in part.items()}

    @torch.inference_mode()
    def _score(self, masks: list[Mask]) -> dict[Mask, Outcome]:
        """Score this process's part of the masks on all supernets."""
        if not masks:
            return {}
        per_model = [self._score_on(model, masks) for model in self.models]
        if len(per_model) == 1:
            return per_model[0]
        means = {}
        for mask in masks:
            correct = np.stack([outcomes[mask].correct for outcomes in per_model])
            loss = np.stack([outcomes[mask].loss for outcomes in per_model])
            means[mask] = Outcome(correct.mean(axis=0, dtype=np.float64), loss.mean(axis=0))
        return means

    def _score_on(self, model: Any, masks: list[Mask]) -> dict[Mask, Outcome]:
        """Score masks on one of the supernets, with the chosen BatchNorm statistics."""
        with evaluating(model):
            if self.bn == "batch":
                layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
                with batch_statistics(layers):
                    return self._forward(model, masks)
            if self.bn == "running":
                return self._forward(model, masks)
            own = OwnStatistics()
            with own.estimating():
                self._forward(model, masks, own)
            return self._forward(model, masks, own)

    def _forward(
        self, model: Any, masks: list[Mask], around: Around | None = None
    ) -> dict[Mask, Outcome]:
        correct: dict[Mask, list[np.ndarray]] = {mask: [] for mask in masks}
        losses: dict[Mask, list[np.ndarray]] = {mask: [] for mask in masks}
        options = {} if around is None else {"around": around}
        backbone = find_backbone(model)
        for images, labels in self._batches():
            for group, features in forward_masks(backbone, images, masks, **options):
                logits = _logits(model, features, group[0], around)
                loss = F.cross_entropy(logits, labels, reduction="none").cpu().numpy()
                right = (logits.argmax(dim=1) == labels).float().cpu().numpy()
                for mask in group:
                    correct[mask].append(right)
                    losses[mask].append(loss)
        return {
            mask: Outcome(np.concatenate(correct[mask]), np.concatenate(losses[mask]))
            for mask in masks
        }

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of preprocessed images (N, C, H, W) and labels (N,)."""
        if self._cached is not None:
            yield from self._cached
            return
        kept: list[tuple[Tensor, Tensor]] | None = [] if self._fits else None
        for raw in self.dataloader:
            data: dict[str, Any] = self.model.data_preprocessor(raw, training=False)
            labels = torch.cat([sample.gt_label for sample in data["data_samples"]])
            images = data["inputs"].contiguous(memory_format=torch.channels_last)
            batch = (images, labels.to(images.device))
            if kept is not None:
                kept.append(batch)
                if len(kept) * images.nbytes > self.max_cached_bytes:
                    kept, self._fits = None, False
            yield batch
        self._cached = kept


def _logits(model: Any, features: tuple[Tensor, ...], mask: Mask, around: Around | None) -> Tensor:
    """The logits (N, classes) of the backbone's outputs, by neck and head of an ImageClassifier."""

    def run(module: nn.Module, x: Any) -> Any:
        with nullcontext() if around is None else around(module, mask):
            return module(x)

    return run(model.head, run(model.neck, features) if model.with_neck else features)


@contextmanager
def batch_statistics(layers: Sequence[_BatchNorm]) -> Iterator[None]:
    """Yield while BatchNorm layers normalise by the current batch and keep their buffers.

    On exit the layers are as they were.
    """
    before = [(layer.training, layer.track_running_stats) for layer in layers]
    for layer in layers:
        layer.training, layer.track_running_stats = True, False
    try:
        yield
    finally:
        for layer, (training, track) in zip(layers, before, strict=True):
            layer.training, layer.track_running_stats = training, track
