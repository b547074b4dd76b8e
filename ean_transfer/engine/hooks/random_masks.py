"""Training a supernet: one random mask per iteration."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.attachment.network import find_backbone
from ean_transfer.io.checked import Share, checked_arguments
from ean_transfer.supernet.sampling import require_supernet, shared_seed
from ean_transfer.ticket.mask import random_mask


@HOOKS.register_module()
class RandomMaskHook(Hook):
    """Trains a supernet: every iteration has one mask for the whole batch, the same on all ranks.

    "Efficient Attention Network" (arXiv 2011.14058), step 1. The hook notes itself as ``masks`` in
    every checkpoint's meta: nothing else tells a supernet from the same network trained plainly.

    Args:
        probability: Probability of each block to be connected, in [0, 1].
        seed: Seed of the masks; the run's by default.

    Raises:
        ConfigError: The probability is outside [0, 1].
    """

    @checked_arguments
    def __init__(self, probability: Share = 0.5, seed: int | None = None) -> None:
        self.probability = probability
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        require_supernet(find_backbone(runner.model), "a supernet needs every connection, but its")
        self._common_seed = shared_seed(runner.seed if self.seed is None else self.seed)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        backbone = find_backbone(runner.model)
        blocks = backbone.ticket.num_blocks
        backbone.set_mask(random_mask(blocks, self._common_seed, runner.iter, self.probability))

    def after_train(self, runner: Runner) -> None:
        backbone = find_backbone(runner.model)
        backbone.set_mask(backbone.ticket)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint["meta"]["masks"] = {
            "probability": self.probability,
            "seed": self._common_seed,
        }
