"""Checkpoints that replace the ones before them only when they are whole."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.attachment.fitting import not_finite
from ean_transfer.attachment.network import unwrapped
from ean_transfer.engine.checkpoints import LAST, STOPPED, go_on_from
from ean_transfer.errors import TrainingError
from ean_transfer.io.files import write_atomically


def write_last(runner: Runner, file: str | Path) -> None:
    """Record which checkpoint was written last."""
    write_atomically(Path(runner.work_dir) / LAST, str(file))


@HOOKS.register_module()
class KeptCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, which every run has in its place; takes the same options.

    Weights that are not finite are never written. The oldest checkpoint, and the former best one of
    a single ``save_best``, are removed after the new one is on the disk, not before.

    Raises:
        TrainingError: A weight is NaN or infinite.
    """

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: Any) -> None:
        require_finite(runner)
        kept = [*(number for number in self.keep_ids() if number != step), step]
        dropped = kept[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids = deque(kept[len(dropped) :], self.max_keep_ckpts)
            runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        write_last(runner, self.last_ckpt)
        (Path(runner.work_dir) / STOPPED).unlink(missing_ok=True)
        for number in dropped:
            old = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(number))
            if self.file_backend.isfile(old):
                self.file_backend.remove(old)

    def _save_best_checkpoint(self, runner: Runner, metrics: Any) -> None:
        if not self.save_best:
            return
        require_finite(runner)
        if len(self.key_indicators) > 1:
            super()._save_best_checkpoint(runner, metrics)
            return
        # mmengine would remove the former one first, and finds none to remove now.
        before, self.best_ckpt_path = self.best_ckpt_path, None  # type: ignore[has-type]
        super()._save_best_checkpoint(runner, metrics)
        if self.best_ckpt_path is None:
            self.best_ckpt_path = before
        elif before and is_main_process():
            # In this folder: a copied one has the path of the original on record.
            old = self.file_backend.join_path(self.out_dir, Path(before).name)
            if Path(old).name != Path(self.best_ckpt_path).name and self.file_backend.isfile(old):
                self.file_backend.remove(old)

    def keep_ids(self) -> list[int]:
        """Epochs or iterations whose checkpoints are kept now."""
        return list(getattr(self, "keep_ckpt_ids", []))


def require_finite(runner: Runner) -> None:
    """Refuse to save weights that are not finite on any rank.

    Raises:
        TrainingError: A tensor of the network is NaN or infinite.
    """
    name = not_finite(unwrapped(runner.model).state_dict())
    wrong = torch.tensor(0.0 if name is None else 1.0)
    all_reduce(wrong, "max")
    if wrong:
        raise TrainingError(
            f"iteration {runner.iter + 1}: expected finite weights to save, found NaN or infinity "
            f"in {name or 'those of another process'}: {go_on_from(runner.work_dir)}, resume it "
            "with a lower learning rate"
        )
