"""Training by epochs that can continue in the middle of one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import BatchSampler

from ean_transfer.engine.draws import NumberedSampler


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's loop of epochs, whose first one may begin where a stopped training ended.

    Attributes:
        batches_done: Number of batches of the coming epoch that were trained before.
    """

    batches_done = 0

    def run_epoch(self) -> None:
        """Train one epoch, or the rest of it."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        for index, batch in self._batches():
            self.run_iter(index, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _batches(self) -> Iterator[tuple[int, Any]]:
        done, self.batches_done = self.batches_done, 0
        batches = self.dataloader.batch_sampler
        sampler = getattr(batches, "sampler", None)
        if type(batches) is BatchSampler and isinstance(sampler, NumberedSampler):
            sampler.start_at(done * batches.batch_size)
            return iter(enumerate(self.dataloader, start=done))
        return islice(enumerate(self.dataloader), done, None)
