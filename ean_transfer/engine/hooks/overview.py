"""What a training or a test is of, and what came out, in some lines for the terminal."""

from __future__ import annotations

import sys
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.attachment.network import find_ticket
from ean_transfer.engine.hooks.random_masks import RandomMaskHook
from ean_transfer.engine.metrics import metrics_text
from ean_transfer.io.notices import log_file, notice
from ean_transfer.ticket.display import cells_for, diagram, summary


@HOOKS.register_module()
class OverviewHook(Hook):
    """Says what is trained or tested: the images, the network with its ticket, the log file.

    After a training it says the last validation's metrics.
    """

    priority = "LOW"  # after the hooks that refuse

    def __init__(self) -> None:
        self._validated: dict[str, Any] = {}

    def before_train(self, runner: Runner) -> None:
        parts = {"train": runner.train_dataloader.dataset}
        if runner.val_loop is not None:
            parts["validation"] = runner.val_dataloader.dataset
        _say_what_is_used(runner, parts)

    def before_test(self, runner: Runner) -> None:
        _say_what_is_used(runner, {"test": runner.test_dataloader.dataset})

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        self._validated = metrics or {}

    def after_train(self, runner: Runner) -> None:
        if self._validated:
            notice(runner.logger, metrics_text(self._validated), "validation")


def _say_what_is_used(runner: Runner, parts: dict[str, Any]) -> None:
    if not is_main_process():
        return
    counts = ", ".join(f"{name} {len(dataset):,} images" for name, dataset in parts.items())
    first = next(iter(parts.values()))
    classes = (getattr(first, "metainfo", None) or {}).get("classes")
    notice(runner.logger, f"{counts}{f'; {len(classes)} classes' if classes else ''}", "data")
    ticket = find_ticket(runner.model)
    if ticket is not None:
        supernet = any(isinstance(hook, RandomMaskHook) for hook in runner.hooks)
        notice(runner.logger, summary(ticket), "supernet" if supernet else "network")
        if 0 < ticket.connected < ticket.num_blocks:  # else all cells are alike
            notice(runner.logger, diagram(ticket, cells_for(sys.stderr)), " ")
    if file := log_file(runner.logger):
        notice(runner.logger, str(file), "log")
