"""Training a supernet: one random mask per iteration."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.io.checked import Share, checked_arguments
from ean_transfer.supernet.sampling import MaskSampler, shared_seed


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
        seed = shared_seed(runner.seed if self.seed is None else self.seed)
        self._sampler = MaskSampler(runner.model, self.probability, seed)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._sampler.iteration = runner.iter
        self._sampler.step()

    def after_train(self, runner: Runner) -> None:
        self._sampler.close()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint["meta"]["masks"] = {
            "probability": self.probability,
            "seed": self._sampler.seed,
        }
