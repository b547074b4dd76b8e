"""Scores masks on a frozen supernet, by a task's metric and loss on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ean_transfer.attachment.network import evaluating, find_backbone, unwrapped
from ean_transfer.errors import ConfigError
from ean_transfer.supernet.held_out import HeldOut
from ean_transfer.supernet.importance import importance_on
from ean_transfer.supernet.sampling import require_supernet
from ean_transfer.supernet.scoring import Outcome, Score, Scorer
from ean_transfer.supernet.sharing import RememberedCalls, Work
from ean_transfer.supernet.statistics import OwnStatistics, batch_statistics, has_batchnorm
from ean_transfer.supernet.tree import Tree
from ean_transfer.ticket.mask import Mask, bits_of

BN_STATISTICS = ("batch", "recalibrated", "running")


Elsewhere = Callable[["MaskEvaluator", list[Mask]], dict[Mask, Outcome]]
"""Scores masks on an evaluator's supernets, in other processes."""


class MaskEvaluator:
    """Scores masks of a frozen supernet, each with BatchNorm statistics of its own.

    The supernet's running statistics are averages over half-connected masks. With them, accuracy
    mostly follows the *number* of connections. So each mask gets statistics of its own:

    - ``"batch"`` (default): each scoring batch is normalised by its own mean and variance;
    - ``"recalibrated"``: running statistics are estimated for each mask, in one pass over the
      scoring images, and then used;
    - ``"running"``: the supernet's running statistics, as in the papers' code; only to reproduce
      these.

    All masks see the same images in the same batches (:mod:`~ean_transfer.supernet.held_out`).
    Masks that are scored together share the network's work
    (:mod:`~ean_transfer.supernet.sharing`), and get the scores of each alone. Under a distributed
    launcher every rank holds all images and scores a part of the masks, so scores do not depend on
    the number of processes.

    Args:
        model: A model with every connection: its maskable network was built, or attached, with
            ticket ``"full"``. It gets channels-last images, so weights in that memory format are
            faster.
        dataloader: Held-out images, as a data loader, which is read in a mixed order, or as batches
            of images of all kinds; not read by a scorer that reads its own.
        scorer: What is computed on each batch.
        bn: Kind of BatchNorm statistics, see above.
        images: Number of images to use, the first ones, rounded up to whole batches; all by
            default.
        others: Supernets of the same network, trained with other seeds. A mask's score is its mean
            over all supernets.
        max_cached_bytes: Largest size of prepared images to keep in memory.
        folder: Where images are kept that are too large for memory; without one they are read anew
            for each call of :meth:`scores`.

    Attributes:
        elsewhere: What scores masks in this process's place, such as
            :class:`~ean_transfer.search.workers.ScoringWorkers`.

    Raises:
        ConfigError: ``bn`` is unknown, there are no images, images would be normalised one by one,
            or the model is no supernet.
    """

    def __init__(
        self,
        model: nn.Module,
        dataloader: Iterable[Any],
        scorer: Scorer,
        bn: str = "batch",
        images: int | None = None,
        others: Sequence[nn.Module] = (),
        max_cached_bytes: float = 2e9,
        folder: Path | None = None,
    ) -> None:
        if bn not in BN_STATISTICS:
            raise ConfigError(f"bn is one of {', '.join(BN_STATISTICS)}, found {bn!r}")
        self.models = [unwrapped(one) for one in (model, *others)]
        self.model = self.models[0]
        self.backbone = find_backbone(model)
        require_supernet(self.backbone, "masks are scored on a supernet, but the")
        self.scorer = scorer
        self.bn = bn
        self.elsewhere: Elsewhere | None = None
        self._source = dataloader
        self._wanted = images
        self._images: int | None = None  # until the first mask is scored
        self._keeping: dict[str, Any] = {"max_cached_bytes": max_cached_bytes, "folder": folder}
        self.held_out = HeldOut(
            dataloader if scorer.reads_batches else [None],
            partial(scorer.prepare, self.model),  # no lambda: workers get it pickled
            images,
            join_single=bn != "running" and has_batchnorm(self.model),
            **self._keeping,
        )

    @property
    def uses_all_images(self) -> bool:
        """Whether masks are scored on all of the held-out images."""
        return self.held_out.uses_all

    @property
    def images(self) -> int | None:
        """Number of images that masks are scored on; ``None`` if only scoring a mask will tell."""
        return self.held_out.images or self._images

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """(C, H, W) of the held-out images, as they enter the network; ``None`` if unknown."""
        first = next(iter(self.held_out))
        shapes = [leaf.shape for leaf in tree_leaves(first) if isinstance(leaf, Tensor)]
        return next((tuple(shape[1:]) for shape in shapes if len(shape) == 4), None)

    def on_all_images(self) -> MaskEvaluator:
        """The same evaluator on all of the held-out images."""
        if self.uses_all_images:
            return self
        evaluator = self._again(images=None)
        evaluator.elsewhere = self.elsewhere
        return evaluator

    def unread(self) -> MaskEvaluator:
        """The same evaluator before it read any image, to be sent to another process."""
        return self._again(self._wanted)

    def _again(self, images: int | None) -> MaskEvaluator:
        return MaskEvaluator(
            self.model,
            self._source,
            self.scorer,
            self.bn,
            images,
            self.models[1:],
            **self._keeping,
        )

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
        """The result of each mask on each image; all processes must call it with the same masks.

        Raises:
            TicketError: A mask has another length than the network has blocks, or is text.
            ConfigError: The scorer gave numbers of images that differ, or a metric that is not a
                number.
        """
        rank, world = get_dist_info()
        # Sorted, so that masks which share their first bits are scored by the same rank.
        order = sorted({self.backbone.checked_mask(mask) for mask in masks})
        mine = self._score(order[rank * len(order) // world : (rank + 1) * len(order) // world])
        return {mask: result for part in all_gather_object(mine) for mask, result in part.items()}

    def importance(self) -> list[float]:
        """Each connection's Taylor importance for the loss on these images, mean over supernets.

        Raises:
            ConfigError: The scorer's loss cannot be differentiated.
        """
        bn = "running" if self.bn == "running" else "batch"
        every = [importance_on(one, self.held_out, self.scorer, bn) for one in self.models]
        return np.mean(every, axis=0).tolist()

    def _score(self, masks: list[Mask]) -> dict[Mask, Outcome]:
        """Score this process's part of the masks on all supernets."""
        if not masks:
            return {}
        if self.elsewhere is not None:
            outcomes = self.elsewhere(self, masks)
            self._images = len(outcomes[masks[0]].loss)
            return outcomes
        per_model = [self._score_on(model, masks) for model in self.models]
        if len(per_model) == 1:
            return per_model[0]
        means = {}
        for mask in masks:
            rows = np.stack([outcomes[mask].rows for outcomes in per_model])
            loss = np.stack([outcomes[mask].loss for outcomes in per_model])
            mean = rows.mean(axis=0, dtype=np.float64)
            means[mask] = Outcome(mean, loss.mean(axis=0), self.scorer.metric)
        return means

    def _score_on(self, model: nn.Module, masks: list[Mask]) -> dict[Mask, Outcome]:
        """Score masks on one of the supernets, with the chosen BatchNorm statistics."""
        work = self._work(find_backbone(model), masks)
        # Tensors of inference mode do not know whether they were overwritten, as shared work must,
        # and could not be used for gradients later.
        with (
            torch.inference_mode(False),
            torch.no_grad(),
            evaluating(model),
            work,
            self._statistics(model, work),
        ):
            return self._outcomes(model, work)

    def _work(self, network: Any, masks: list[Mask]) -> Work:
        if not self.scorer.reads_batches:
            return Work(network, masks)
        return Tree(network, masks) if network.runs_in_steps else RememberedCalls(network, masks)

    @contextmanager
    def _statistics(self, model: nn.Module, work: Work) -> Iterator[None]:
        """Yield with the chosen BatchNorm statistics."""
        if self.bn == "batch":
            with batch_statistics(model):
                yield
        elif self.bn == "recalibrated":
            own = OwnStatistics(model, work)
            with own.in_use():
                with own.estimating():
                    self._outcomes(model, work)
                work.forget()
                yield
        else:
            yield

    def _outcomes(self, model: nn.Module, work: Work) -> dict[Mask, Outcome]:
        rows: dict[Mask, list[Tensor]] = {mask: [] for mask in work.masks}
        losses: dict[Mask, list[Tensor]] = {mask: [] for mask in work.masks}
        for batch in self.held_out:
            for mask in work.masks:
                work.use(mask)
                row, loss = self.scorer.rows(model, batch)
                rows[mask].append(row.reshape(len(row), -1))
                losses[mask].append(loss)
        # From the device at the end of the pass: each copy waits for what the device has to do.
        return {
            mask: self._outcome(mask, _joined(rows[mask]), _joined(losses[mask]))
            for mask in work.masks
        }

    def _outcome(self, mask: Mask, rows: np.ndarray, loss: np.ndarray) -> Outcome:
        if self._images not in (None, len(rows)):
            raise ConfigError(
                f"mask {bits_of(mask)}: expected scores of {self._images} images, as under the "
                f"other masks, found {len(rows)}: score the same images under every mask"
            )
        self._images = len(rows)
        outcome = Outcome(rows, loss, self.scorer.metric)
        if np.isnan(outcome.score.metric):
            wrong = int(np.isnan(rows).any(axis=1).sum())  # 0 where the metric itself fails
            where = f" on {wrong} of {len(rows)} images" if wrong else ""
            raise ConfigError(
                f"mask {bits_of(mask)}: expected a finite {self.scorer.metric.name}, found NaN"
                f"{where}: check the supernet's training, the score function, and whether each "
                "image has targets that the loss does not ignore"
            )
        return outcome


def _joined(parts: list[Tensor]) -> np.ndarray:
    joined = torch.cat(parts).cpu()
    return (joined.float() if joined.dtype == torch.bfloat16 else joined).numpy()
