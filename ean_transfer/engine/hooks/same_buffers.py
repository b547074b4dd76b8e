"""Several processes validate and test one network, which is the one that is saved."""

from __future__ import annotations

from mmengine.dist import broadcast, is_distributed
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn


@HOOKS.register_module()
class SameBuffersHook(Hook):
    """Gives all ranks the first one's running statistics before a validation or a test.

    Without SyncBatchNorm, each rank's statistics follow its own images. A checkpoint holds those of
    the first rank, so scores of the others' images would be those of networks that are never saved,
    and would change when a training is resumed.
    """

    priority = "LOW"  # after EMAHook has put the averaged weights and their buffers into the model

    def before_val_epoch(self, runner: Runner) -> None:
        share_buffers(runner.model)

    before_test_epoch = before_val_epoch


def share_buffers(model: nn.Module) -> None:
    """Give a model the first rank's buffers on all ranks."""
    if is_distributed():
        for buffer in model.buffers():
            broadcast(buffer)
