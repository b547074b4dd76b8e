"""Stripe scores of attention during a training, to see when stripes form."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from pydantic import Field

from ean_transfer.asr.stripes import attention_values, stripe_scores
from ean_transfer.attachment.network import find_backbone, unwrapped
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.io.files import write_atomically

STRIPES = "stripes.json"


@HOOKS.register_module()
class StripeHook(Hook):
    """Scores every connected block's stripes before training and every ``interval`` of it.

    The images are the first of the validation set (on several processes, of the first one's share),
    the same each time. The scores are logged as ``stripe/<block>`` and kept in the work dir's
    ``stripes.json``, a list of ``{"iteration", "scores"}`` whose keys are the blocks' numbers,
    counted over all stages from 0; :mod:`ean_transfer.asr.figure` draws it. For a network without
    attention the hook does nothing.

    Args:
        interval: Number of epochs, or iterations, between two scores.
        by_epoch: Whether ``interval`` counts epochs.
        images: Number of images, rounded up to whole batches.

    Raises:
        ConfigError: There is no validation set, or the attention does not give one weight per
            channel.
    """

    priority = "LOW"

    @checked_arguments
    def __init__(
        self,
        interval: Positive = 1,
        by_epoch: bool = True,
        images: Annotated[int, Field(ge=2)] = 256,
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.images = images
        self._batches: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        if not find_backbone(unwrapped(runner.model)).ticket.connected:
            return
        if runner.val_loop is None:
            raise ConfigError("StripeHook: expected a validation set (val_dataloader), found none")
        loader = runner.val_loop.dataloader
        self._batches = list(islice(loader, -(-self.images // loader.batch_size)))
        if runner.iter == 0:
            self._score(runner, 0)

    def after_train_epoch(self, runner: Runner) -> None:
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self._score(runner, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not self.by_epoch and self.every_n_train_iters(runner, self.interval):
            self._score(runner, runner.iter + 1)  # runner.iter does not count this one yet

    def _score(self, runner: Runner, iteration: int) -> None:
        if not self._batches:
            return
        model = unwrapped(runner.model)
        backbone = find_backbone(model)
        mask = backbone.mask  # that of a supernet changes with every iteration
        backbone.set_mask(backbone.ticket)
        try:
            scores = stripe_scores(attention_values(model, self._batches))
        finally:
            backbone.set_mask(mask)
        if is_main_process():
            file = Path(runner.work_dir) / STRIPES
            rows = []
            if iteration > 0 and file.exists():
                try:
                    rows = json.loads(file.read_bytes())
                except ValueError:
                    runner.logger.warning(f"{file}: torn, earlier iterations' scores are left out")
            # A training resumed from an earlier checkpoint scores some iterations again.
            rows = [row for row in rows if row["iteration"] < iteration]
            rows.append({"iteration": iteration, "scores": {str(b): s for b, s in scores.items()}})
            write_atomically(file, json.dumps(rows, indent=1) + "\n")
        for block, score in scores.items():
            runner.visualizer.add_scalar(f"stripe/{block}", score, iteration)
