"""Validates a supernet while it trains, on the masks none and full and some random ones."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from types import MappingProxyType
from typing import Any

from mmengine.registry import LOOPS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from ean_transfer.registry import SCORERS
from ean_transfer.supernet.evaluation import MaskEvaluator
from ean_transfer.supernet.scoring import Scorer
from ean_transfer.ticket.mask import random_mask


@LOOPS.register_module()
class SupernetValLoop(BaseLoop):
    """Reports the metric of none, full and a fixed set of random masks on the held-out images.

    A supernet is not one network: the score of a single mask says nothing about the others.

    Args:
        runner: The runner.
        dataloader: The held-out images.
        evaluator: Not used, as :class:`MaskEvaluator` scores the masks. The runner requires
            ``val_evaluator``; give it ``[]``.
        random_masks: Number of random masks.
        seed: Seed of the random masks.
        bn: Kind of BatchNorm statistics, see :class:`MaskEvaluator`.
        scorer: Config of the task's :class:`~ean_transfer.supernet.scoring.Scorer`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Any = None,
        random_masks: int = 4,
        seed: int = 0,
        bn: str = "batch",
        scorer: Mapping[str, Any] = MappingProxyType({"type": "ClassificationScorer"}),
    ) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = evaluator
        self.random_masks = random_masks
        self.seed = seed
        self.bn = bn
        self.scorer: Scorer = SCORERS.build(dict(scorer))
        self._masks_evaluator: MaskEvaluator | None = None

    def run(self) -> dict[str, float]:
        """Score the masks; return and log their means, e.g. ``accuracy/none``."""
        if self._masks_evaluator is None:
            self._masks_evaluator = MaskEvaluator(
                self.runner.model, self.dataloader, self.scorer, self.bn
            )
        self.runner.call_hook("before_val")
        self.runner.call_hook("before_val_epoch")
        blocks = self._masks_evaluator.backbone.ticket.num_blocks
        masks = {
            "none": [(False,) * blocks],
            "full": [(True,) * blocks],
            "random": [random_mask(blocks, self.seed, i) for i in range(self.random_masks)],
        }
        everything = [mask for group in masks.values() for mask in group]
        scores = dict(zip(everything, self._masks_evaluator.scores(everything), strict=True))
        metrics = {
            f"{self.scorer.metric.name}/{name}": fmean(scores[mask].metric for mask in group)
            for name, group in masks.items()
            if group
        }
        self.runner.call_hook("after_val_epoch", metrics=metrics)
        self.runner.call_hook("after_val")
        return metrics
